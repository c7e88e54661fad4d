// Package hook gives a container or a pod its interfaces, and takes them back.
// [Hook.Attach] is the one entrance for whatever knows of one: a [Sandbox] and
// selections become a plan, the plan becomes interfaces in the sandbox's network
// namespace, and every step leaves an undo behind. [Hook.Run] is its caller for
// the state that an OCI runtime writes to a hook's standard input, [Hook.Connect]
// that of the command line.
//
//	selections → requests → plan → reserve → register → apply → commit
//
// Up to the plan nothing is changed and nothing but the plan's facts is asked
// of the kernel. Everything that a container can influence (its annotations)
// is checked there; nothing is read from the environment, and the container's
// root file system is never touched.
//
// The package does not count, judge or serve: that is the agent's, which it
// never imports. The two meet in the state records and in the pinned maps.
package hook
