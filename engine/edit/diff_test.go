package edit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/testnet"
)

func TestDiff(t *testing.T) {
	var numbers []string
	for i := range 20 {
		numbers = append(numbers, fmt.Sprintln("line", i))
	}
	before := strings.Join(numbers, "")
	after := strings.Replace(strings.Replace(before, "line 4\n", "", 1), "line 18\n", "line 18\nadded", 1)
	const want = `--- a
+++ b
@@ -2,7 +2,6 @@
 line 1
 line 2
 line 3
-line 4
 line 5
 line 6
 line 7
@@ -17,4 +16,4 @@
 line 16
 line 17
 line 18
-line 19
+addedline 19
`
	if got := Diff("a", "b", before, after); got != want {
		t.Errorf("diff is\n%s\nwant\n%s", got, want)
	}
	if got := Diff("", "b", "", "x"); got != "--- /dev/null\n+++ b\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n" {
		t.Errorf("diff of a new file is %q", got)
	}
	if got := Diff("a", "a", "x", "x"); got != "" {
		t.Errorf("diff of the same is %q", got)
	}
}

// TestDiffIsWhatPatchReads requires that patch(1) converts one text to the other.
func TestDiffIsWhatPatchReads(t *testing.T) {
	patch := testnet.Program(t, "patch")
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range random.IntN(40) {
			fmt.Fprintln(&b, random.IntN(6))
		}
		return b.String()
	}
	for range 50 {
		before, after := text(), text()
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		d := Diff(path, path, before, after)
		if d == "" {
			continue
		}
		cmd := exec.Command(patch, "-s", "-p0", path)
		cmd.Stdin = strings.NewReader(d)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s: %s", err, out, d)
		}
		got, _ := os.ReadFile(path) // patch removes a file that has become empty
		if string(got) != after {
			t.Fatalf("patch made %q of %q, want %q:\n%s", got, before, after, d)
		}
	}
}
