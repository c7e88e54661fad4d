package check

import (
	"fmt"
	"slices"
)

// Result is the result of a check.
type Result string

// The results of a check.
const (
	Pass Result = "pass" // as it should be
	Warn Result = "warn" // works, but a part is missing, or the result may surprise the user
	Fail Result = "fail" // a container cannot start, or would not work as its network declares
)

// Line is one check and its result.
type Line struct {
	Subject string `json:"subject"` // "host", "parent eth1", "network lan", "container web net1"
	Check   string `json:"check"`   // subject of the check, a word or two
	Result  Result `json:"result"`
	Message string `json:"message"` // the finding
	Remedy  string `json:"remedy"`  // how to fix it, commands in backquotes; "" for a pass
}

// Failed reports whether a check failed.
func Failed(lines []Line) bool {
	return slices.ContainsFunc(lines, func(l Line) bool { return l.Result == Fail })
}

// commandText marks a part of a remedy as a command to paste.
func commandText(format string, args ...any) string { return "`" + fmt.Sprintf(format, args...) + "`" }

// report collects the lines of one subject.
type report struct {
	subject string
	lines   []Line
}

func (r *report) addPass(check, format string, args ...any) {
	r.addLine(check, Pass, "", format, args...)
}

func (r *report) addWarn(check, remedy, format string, args ...any) {
	r.addLine(check, Warn, remedy, format, args...)
}

func (r *report) addFail(check, remedy, format string, args ...any) {
	r.addLine(check, Fail, remedy, format, args...)
}

func (r *report) addLine(check string, result Result, remedy, format string, args ...any) {
	r.lines = append(r.lines, Line{r.subject, check, result, fmt.Sprintf(format, args...), remedy})
}
