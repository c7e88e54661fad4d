package check

import (
	"fmt"
	"slices"

	"berth/specs"
)

// The terms of the results are those of package specs, because other programs read them too.
type (
	// Line is one check and its result.
	Line = specs.CheckLine
	// Result is the result of a check.
	Result = specs.CheckResult
)

// The results of a check.
const (
	Pass = specs.CheckPass
	Warn = specs.CheckWarn
	Fail = specs.CheckFail
)

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
	r.lines = append(r.lines, Line{Subject: r.subject, Check: check, Result: result,
		Message: fmt.Sprintf(format, args...), Remedy: remedy})
}
