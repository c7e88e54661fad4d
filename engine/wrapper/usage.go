package wrapper

// usage is the output of --berth-help; --help is the runtime's.
const usage = `berth-runtime is an OCI runtime that adds berth's hooks to the containers whose
config.json has annotations of berth's, and then executes runc or crun.

Usage:
  berth-runtime [flags] [the runtime's flags, command and arguments]

Flags:
  --berth-attach create|start (default "create")
        time at which containers are attached
  --berth-bpffs DIR
        DIR of pinned BPF objects, passed to berth-hook
  --berth-config DIR
        DIR of berth.toml and networks.d, passed to berth-hook
  --berth-help
        print this help; --help prints the runtime's
  --berth-runtime PATH
        runtime to execute (default runc on PATH, else crun)
  --berth-state DIR
        DIR of the attachment records, passed to berth-hook
  --berth-version
        print berth-runtime's version; --version prints the runtime's
`
