package specs

// CheckResult is the result of a check.
type CheckResult string

// The results of a check.
const (
	CheckPass CheckResult = "pass" // as it should be
	CheckWarn CheckResult = "warn" // works, but a part is missing, or the result may surprise the user
	CheckFail CheckResult = "fail" // a container cannot start, or would not work as its network declares
)

// CheckLine is one check and its result: an element of `berth check --json`. Its schema is
// specs/schema/check.json.
type CheckLine struct {
	Subject string      `json:"subject"` // "host", "parent eth1", "network lan", "container web net1"
	Check   string      `json:"check"`   // subject of the check, a word or two
	Result  CheckResult `json:"result"`
	Message string      `json:"message"` // the finding
	Remedy  string      `json:"remedy"`  // how to fix it, commands in backquotes; "" for a pass
}
