// Package install registers berth with container engines, in each engine's own
// configuration, and undoes that.
//
// [Install] and [Uninstall] return a [Plan]; its Apply writes the files.
//
//	configuration on disk → without berth's part → plan → diff → write, record
//
// A plan is made from the files on disk and changes nothing; each engine's source file has
// the location and content of its configuration. The written changes are recorded below
// CONFIG/installed, with a copy of each original file, so that uninstalling restores it
// byte for byte or, if it was changed since, removes only berth's part. Several engines may
// share a file.
//
// The package restarts nothing and starts no container. It imports internal/regular, engine/edit, engine/entry,
// engine/program, engine/cdi, internal/config, internal/engineversion, internal/podmanconf and specs.
package install
