package daemon

import (
	"os"
	"slices"
	"testing"
)

func TestProgramMappings(t *testing.T) {
	t.Parallel()
	const text = `00400000-00bad000 r-xp 00000000 fe:00 10027113                           /usr/sbin/berthd
00bad000-0143e000 r--p 007ad000 fe:00 10027113                           /usr/sbin/berthd
0143e000-01502000 rw-p 0103e000 fe:00 10027113                           /usr/sbin/berthd
01502000-02000000 rw-p 00000000 00:00 0
02000000-02001000 r--p 00000000 fe:00 7                                  /usr/sbin/berthd.db
02001000-02002000 r--s 00000000 fe:00 10027113                           /usr/sbin/berthd
x-y r--p 00000000 fe:00 10027113                                         /usr/sbin/berthd
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0                          [vdso]
`
	got := programMappings([]byte(text), "/usr/sbin/berthd")
	if want := []mapping{{0x400000, 0xbad000}, {0xbad000, 0x143e000}}; !slices.Equal(got, want) {
		t.Errorf("mappings %x, want %x", got, want)
	}
	if got := programMappings([]byte(text), "/usr/sbin/berthd (deleted)"); got != nil {
		t.Errorf("mappings of another file: %x", got)
	}
}

// The mappings of a running program are found, and the program goes on after it has released
// them.
func TestReleaseProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("/proc/self/maps")
	mustSucceed(t, err)
	program, err := os.Readlink("/proc/self/exe")
	mustSucceed(t, err)
	if len(programMappings(text, program)) == 0 {
		t.Errorf("no mapping of %s in\n%s", program, text)
	}
	mustSucceed(t, releaseProgram())
}
