// Package plain encodes and decodes JSON of plain types, as records and states have, with few
// allocations: encoding/json prepares tables of all types that it meets, which costs a process
// that handles a single record more than the record itself.
//
// [Marshal] and [Unmarshal] have the results of encoding/json, which they call for everything
// that is not plain: other types, text with escapes, names in another case, and every error. The
// package decides nothing itself: it either has the result of encoding/json or leaves the work to it.
package plain
