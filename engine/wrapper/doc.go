// Package wrapper is berth-runtime: an OCI runtime that adds berth's hooks to
// the configuration of containers that ask for them by annotation, and then
// becomes the runtime that does the work.
//
//	arguments → call → config.json (raw JSON) → hooks spliced in → exec
//
// A command line that makes no container, and a container without one of
// berth's annotations, are handed on byte for byte. Where berth attaches only
// when the container is started (see [AtStart]), create leaves a note, and
// start runs berth-hook before it becomes the runtime.
//
// It runs for every container, so it is made of Go's library and x/sys alone:
// it reads no configuration of berth's and no annotation's value, which are
// berth-hook's to judge. Nothing but PATH is taken from the environment, which
// the runtime gets as it is.
package wrapper
