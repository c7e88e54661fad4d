// Package wrapper is berth-runtime: an OCI runtime that adds berth's hooks to the
// configuration of containers that request them by annotation, and then executes the actual
// runtime.
//
// [Main] is the main function of the program.
//
//	arguments → call → config.json (raw JSON) → hooks spliced in → exec
//
// A command line that creates no container, and a container without berth's annotations,
// are passed on byte for byte. If berth attaches only when the container is started (see
// [AtStart]), create leaves a note, and start runs berth-hook before it executes the
// runtime.
//
// It runs for every container, so it uses only Go's library, x/sys and engine/program: it reads neither
// berth's configuration nor an annotation's value, which berth-hook validates. From the
// environment it uses only PATH; the runtime gets it unchanged.
package wrapper
