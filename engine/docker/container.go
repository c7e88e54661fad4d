package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// containerID is docker's ID of a container in the path of a control group.
var containerID = regexp.MustCompile(`[0-9a-f]{64}`)

// containerIn returns docker's ID of the container whose processes are in a network namespace, or
// "" if there is none. The protocol does not name the container, and docker cannot be asked during
// a call. docker names the control group of a container by its ID, and a container cannot change
// the part of the path above its own groups, so the first ID is docker's.
func containerIn(netns string) string {
	var want unix.Stat_t
	if err := unix.Stat(netns, &want); err != nil {
		return ""
	}
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	for _, dir := range all {
		var st unix.Stat_t
		if err := unix.Stat(dir+"/ns/net", &st); err != nil || st.Dev != want.Dev || st.Ino != want.Ino {
			continue
		}
		groups, err := os.ReadFile(fmt.Sprint(dir, "/cgroup"))
		if err != nil {
			continue
		}
		if id := containerID.Find(groups); id != nil {
			return string(id)
		}
	}
	return ""
}
