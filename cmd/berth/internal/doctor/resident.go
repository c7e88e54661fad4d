package doctor

import (
	"os"
	"path/filepath"
	"strings"

	"berth/check"
	"berth/engine/program"
	"berth/engine/resident"
)

// checkResident reports whether engines run the client of berth-hook, and whether it has a service.
// Without either, containers take longer to start, so that no result is a failure.
func (d *Doctor) checkResident() check.Line {
	const name = "resident"
	hook := filepath.Join(d.Bin, program.Hook)
	if program.Beside(hook) == hook {
		return newLine("berth", name, check.Pass, "put "+program.Client+" into the directory of berth, for faster starts",
			"engines run %s; %s is not beside it", program.Hook, program.Client)
	}
	socket := filepath.Join(d.Dirs.State, resident.SocketName)
	if !listens(socket) {
		return newLine("berth", name, check.Pass, "for faster starts: `systemctl enable --now berth-hook.socket`",
			"%s runs %s for each container, because nothing listens on %s", program.Client, program.Hook, socket)
	}
	return newLine("berth", name, check.Pass, "", "%s passes containers to the resident %s", program.Client, program.Hook)
}

// listens reports whether a process listens on a socket. A connection would start the service.
func listens(socket string) bool {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(table)) {
		const accepts = "00010000" // __SO_ACCEPTCON (include/linux/net.h)
		f := strings.Fields(line)
		if len(f) >= 8 && f[3] == accepts && strings.HasSuffix(line, " "+socket+"\n") { // a path may have blanks
			return true
		}
	}
	return false
}
