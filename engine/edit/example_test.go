package edit_test

import (
	"fmt"

	"berth/engine/edit"
)

func ExampleFormat_Set() {
	const before = "# the site's\n[engine] # podman\nruntime = 'crun'\n"
	after, changes, err := edit.TOML.Set(before, []string{"engine", "runtime"}, "berth")
	if err != nil {
		panic(err)
	}
	fmt.Print(edit.Diff("containers.conf", "containers.conf", before, after))
	undone, err := edit.TOML.Undo(after, changes[0])
	fmt.Println(undone == before, err)
	// Output:
	// --- containers.conf
	// +++ containers.conf
	// @@ -1,3 +1,3 @@
	//  # the site's
	//  [engine] # podman
	// -runtime = 'crun'
	// +runtime = "berth"
	// true <nil>
}
