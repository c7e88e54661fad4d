// Package daemon is the agent's process: it follows networks, attachments and
// parents, keeps the datapath attached to the parents that are wanted, and
// serves what was counted.
//
// One goroutine owns the desired state. Whatever happens outside (a file that
// changed, a link that came, a timer) only wakes it; it then looks at all
// there is, decides by a pure function what is to be done, and does it. So a
// missed or doubled wake does no harm.
//
// It attaches nothing to containers and gives out no addresses. It may import
// every room but hook and engine.
package daemon
