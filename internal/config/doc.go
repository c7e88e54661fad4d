// Package config reads the administrator's files, berth.toml and networks.d, and
// writes the latter for `berth network create`.
//
// [Load] reads berth.toml, [Network] and [Networks] read the networks, [Save] and [Remove] change
// them.
//
// It does not interpret a network or a policy (package specs does), keeps nothing
// in memory, and uses neither the kernel nor the attachments. It imports specs, regular
// and no other package of berth, because the hook, which has to start fast, needs
// it.
package config
