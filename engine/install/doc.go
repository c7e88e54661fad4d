// Package install tells container engines about berth, in each engine's own
// configuration, and takes that back.
//
//	configuration on disk → without what is ours → plan → diff → write, record
//
// A plan is made of what lies on disk and changes nothing; an engine's file
// knows where its configuration is and what belongs into it. What was written
// is recorded below CONFIG/installed, with a copy of each file as it was, so
// that uninstalling gives it back byte for byte, or, where somebody has changed
// it since, takes out only what is ours. Several engines may share a file.
//
// The package restarts nothing and starts no container. It imports engine/edit,
// engine/cdi and internal/config.
package install
