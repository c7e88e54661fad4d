package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// releaseEvery is the time between two releases of the program's pages. An inspection, or a
// scrape, maps some 6 MB again, in about a millisecond.
const releaseEvery = 2 * time.Second

// runReleases gives the pages of the agent's program back to the kernel, until ctx is done or
// it fails: an agent that waits uses few of them.
func (a *Agent) runReleases(ctx context.Context) {
	tick := time.NewTicker(releaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := releaseProgram(); err != nil {
			a.log.Warn("memory of the agent's program is not given back", "error", err)
			return
		}
	}
}

// releaseProgram unmaps the pages of the agent's own program. They stay in the page cache as
// long as the host has memory to spare, and are mapped again, 16 at a time, when they are used.
func releaseProgram() error {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("read the agent's mappings: %w", err)
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the agent's program: %w", err)
	}
	for _, m := range programMappings(text, program) {
		if err := m.unmapPages(); err != nil {
			return err
		}
	}
	return nil
}

// mapping is a range of addresses of this process, from start to before end.
type mapping struct{ start, end uintptr }

// programMappings returns those private mappings of a program's file that cannot be written
// to, from the text of /proc/PID/maps (proc_pid_maps(5)): the file has the same content.
func programMappings(text []byte, program string) (all []mapping) {
	for line := range bytes.Lines(text) {
		fields := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 6)
		if len(fields) < 6 || string(bytes.TrimLeft(fields[5], " ")) != program {
			continue
		}
		if perms := string(fields[1]); perms != "r-xp" && perms != "r--p" {
			continue
		}
		from, to, _ := bytes.Cut(fields[0], []byte("-"))
		start, startErr := strconv.ParseUint(string(from), 16, 64)
		end, endErr := strconv.ParseUint(string(to), 16, 64)
		if startErr == nil && endErr == nil && start < end {
			all = append(all, mapping{uintptr(start), uintptr(end)})
		}
	}
	return all
}

// unmapPages calls madvise(2) by addresses, because no slice of Go covers the program's text.
func (m mapping) unmapPages() error {
	if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
		return fmt.Errorf("madvise the pages of the program from %#x to %#x: %w", m.start, m.end, errno)
	}
	return nil
}
