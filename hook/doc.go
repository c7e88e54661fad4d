// Package hook is one start or one stop of a container: the state that the OCI
// runtime writes to the hook's standard input becomes a plan, the plan becomes
// interfaces in the container's network namespace, and every step leaves an
// undo behind.
//
//	state → selections → requests → plan → reserve → register → apply → commit
//
// Up to the plan nothing is changed and nothing but the plan's facts is asked
// of the kernel. Everything that a container can influence (its annotations)
// is checked there; nothing is read from the environment, and the container's
// root file system is never touched.
//
// The package does not count, judge or serve: that is the agent's, which it
// never imports. The two meet in the state records and in the pinned maps.
package hook
