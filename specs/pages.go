package specs

import _ "embed"

// ViolationsPage is the text of specs/violations.md, for programs that explain the kinds.
//
//go:embed violations.md
var ViolationsPage string
