// Package config reads what an administrator wrote, berth.toml and the files
// of networks.d, and writes the latter for `berth network create`.
//
// It does not decide what a network or a policy means (package specs does),
// keeps nothing in memory, and knows nothing of the kernel or of what is
// attached. It imports specs and nothing else of berth, because the hook,
// which has to start fast, needs it.
package config
