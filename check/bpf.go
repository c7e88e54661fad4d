package check

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"berth/bpf"
)

// BPF holds the kernel's features for counting.
type BPF struct {
	Program error // why a TC program cannot be loaded; nil if it can
	TCX     error // why programs cannot be attached by tcx, such as ebpf.ErrNotSupported
	Clsact  [2]Module
	BTF     bool
	Pins    Filesystem // file system of the pinned programs
	Wanted  string     // agent.attach of berth.toml
}

// gatherBPF loads a program of two instructions and closes it, and lists the tcx programs
// of lo.
func (c *Checker) gatherBPF(wanted string) BPF {
	b := BPF{Program: features.HaveProgramType(ebpf.SchedCLS), Wanted: wanted, Pins: filesystemOf(c.Dirs.BPFFS)}
	_, b.TCX = link.QueryPrograms(link.QueryOptions{Target: loopback, Attach: ebpf.AttachTCXIngress})
	if errors.Is(b.TCX, unix.EINVAL) { // an unknown attach type
		b.TCX = ebpf.ErrNotSupported
	}
	b.Clsact = [2]Module{c.moduleState(kernelRelease(), "sch_ingress"), c.moduleState(kernelRelease(), "cls_bpf")}
	_, err := os.Stat(c.underRoot("/sys/kernel/btf/vmlinux"))
	b.BTF = err == nil
	return b
}

// loopback is the index of lo, which is the first link of every namespace (LOOPBACK_IFINDEX
// in include/net/flow.h).
const loopback = 1

// judgeBPF never fails: containers start even if nothing can be counted.
func judgeBPF(r *report, b BPF) {
	switch {
	case b.Program == nil:
		r.addPass("BPF", "TC programs can be loaded")
	case errors.Is(b.Program, fs.ErrPermission):
		r.addWarn("BPF", "run it as root; if it fails as root, a container's seccomp profile or the kernel's lockdown "+
			"forbids bpf(2)",
			"not checked: bpf(2) is not permitted")
	default:
		r.addWarn("BPF", "use a kernel with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF",
			"no TC program can be loaded, so nothing is counted: %v", b.Program)
	}
	judgeAttachKind(r, b)
	if b.BTF {
		r.addPass("BTF", "the kernel has BTF")
	} else {
		r.addWarn("BTF", "use a kernel with CONFIG_DEBUG_INFO_BTF",
			"the kernel does not describe its types: frames between ipvlan siblings are not counted, and mode bridge "+
				"cannot enforce group frames")
	}
	if b.Pins.Magic == unix.BPF_FS_MAGIC {
		r.addPass("bpffs", "%s is on a BPF file system", b.Pins.Path)
	} else {
		r.addWarn("bpffs", commandText("mount -t bpf bpf /sys/fs/bpf"),
			"%s is not on a BPF file system, so the agent cannot start", b.Pins.Path)
	}
}

func judgeAttachKind(r *report, b BPF) {
	const check = "attach by"
	clsact := true
	for _, m := range b.Clsact {
		clsact = clsact && (m.Builtin || m.Loaded || m.Loadable && !m.Locked)
	}
	unknown := !clsact && b.Clsact[0].NoTree
	switch {
	case b.TCX == nil && b.Wanted != bpf.Clsact:
		r.addPass(check, "tcx")
	case errors.Is(b.TCX, fs.ErrPermission):
		r.addWarn(check, "run it as root", "not checked: %v", b.TCX)
	case b.Wanted == bpf.TCX:
		r.addWarn(check, `set attach = "auto" under [agent] in berth.toml, or use Linux 6.6 or later`,
			"berth.toml requires tcx, which this kernel lacks: %v", b.TCX)
	case clsact:
		r.addPass(check, "clsact")
	case unknown:
		r.addWarn(check, "start berthd, which tries it",
			"clsact, if the kernel has it; not checked, because there are no lists of the kernel's modules")
	default:
		r.addWarn(check, "use Linux 6.6 or later, or a kernel with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF",
			"this kernel has neither tcx nor clsact, so nothing is counted")
	}
}

// Filesystem is the file system of a directory, existing or not.
type Filesystem struct {
	Path  string // of the directory
	Magic int64  // of the file system, from statfs(2)
	Free  uint64 // bytes that are left for files
	Err   error
}

// filesystemOf returns the file system of the nearest existing directory.
func filesystemOf(path string) Filesystem {
	f := Filesystem{Path: path}
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		var st unix.Statfs_t
		f.Err = unix.Statfs(at, &st)
		if f.Free = st.Bavail * uint64(st.Bsize); st.Blocks == 0 { // as of a tmpfs without a limit
			f.Free = math.MaxUint64
		}
		if f.Magic = int64(st.Type); !errors.Is(f.Err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return f
		}
	}
}
