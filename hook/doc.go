// Package hook gives a container or a pod its interfaces, and takes them back.
// [Hook.Attach] is the one entry point: a [Sandbox] and its selections become a
// plan, the plan becomes interfaces in the sandbox's network namespace, and every
// step pushes its undo. [Hook.Run] calls it with the state that an OCI runtime
// writes to a hook's standard input, [Hook.Connect] for the command line.
//
//	selections → requests → plan → claim → register → apply → commit
//
// Until the plan is made nothing is changed, and the kernel is asked only for the
// plan's facts. The plan checks everything that a container can influence (its
// annotations). The package reads nothing from the environment and never touches
// the container's root file system.
//
// The package does not count, judge or serve: the agent does. The two share the state
// records and the pinned maps. The package may import all rooms below it, and never agent.
package hook
