package check

import (
	"fmt"
	"slices"
)

// Result is how one check went.
type Result string

// The results of a check.
const (
	Pass Result = "pass" // as it should be
	Warn Result = "warn" // works, but a part is missing, or something may surprise
	Fail Result = "fail" // a container cannot start, or would not work as its network says
)

// Line is one check and how it went.
type Line struct {
	Subject string `json:"subject"` // "host", "parent eth1", "network lan", "container web net1"
	Check   string `json:"check"`   // what was looked at, a word or two
	Result  Result `json:"result"`
	Message string `json:"message"` // what was found
	Remedy  string `json:"remedy"`  // what to do about it, commands in backquotes; "" for a pass
}

// Failed reports whether a check failed.
func Failed(lines []Line) bool {
	return slices.ContainsFunc(lines, func(l Line) bool { return l.Result == Fail })
}

// command marks a part of a remedy as what a person would paste.
func command(format string, args ...any) string { return "`" + fmt.Sprintf(format, args...) + "`" }

// report collects the lines of one subject.
type report struct {
	subject string
	lines   []Line
}

func (r *report) pass(check, format string, args ...any) {
	r.add(check, Pass, "", format, args...)
}

func (r *report) warn(check, remedy, format string, args ...any) {
	r.add(check, Warn, remedy, format, args...)
}

func (r *report) fail(check, remedy, format string, args ...any) {
	r.add(check, Fail, remedy, format, args...)
}

func (r *report) add(check string, result Result, remedy, format string, args ...any) {
	r.lines = append(r.lines, Line{r.subject, check, result, fmt.Sprintf(format, args...), remedy})
}
