// Package daemon is the agent's process: it follows networks, attachments and parents,
// keeps the datapath attached to the wanted parents, and serves the counts.
//
// [Run] is the work of the program berthd.
//
// One goroutine owns the desired state. An event from outside (a changed file, a new link,
// a timer) only wakes it; it then reads the whole state, plans with a pure function, and
// applies the plan. So a missed or doubled wake does no harm.
//
// It attaches nothing to containers and assigns no addresses. It may import every room but
// hook and engine.
package daemon
