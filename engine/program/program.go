// Package program names the programs of the hook, and chooses the one that an engine runs.
//
// [Beside] returns the path of that program, [IsHook] recognizes an entry of either.
//
// It runs nothing. It imports Go's library alone, because berth-runtime does.
package program

import (
	"os"
	"path/filepath"
)

// Hook is the file name of the hook, and the first argument of either program. Client is the file
// name of the program that passes the hook's work to its service (engine/resident), and executes
// the hook beside itself if none answers.
const (
	Hook   = "berth-hook"
	Client = "berth-hook-client"
)

// Beside returns the path of the program that an engine runs, if berth-hook is at a path: the
// client if it is in the same directory, else berth-hook.
func Beside(hook string) string {
	client := filepath.Join(filepath.Dir(hook), Client)
	if info, err := os.Stat(client); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
		return client
	}
	return hook
}

// IsHook reports whether a path is that of the hook or of its client.
func IsHook(path string) bool {
	name := filepath.Base(path)
	return name == Hook || name == Client
}
