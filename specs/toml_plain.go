package specs

import (
	"encoding"
	"reflect"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// plainTOML reads files that have only what nearly all files have: keys of one part, each set once; tables
// and lists of tables with such keys; texts, decimal numbers, booleans and lists of these. The
// syntax is that of the library's own parser. All else is left to the library's decoder, which
// then reads the whole file, or explains its fault.
//
// The decoder makes tables of types and of paths for each struct: a tenth of the pages of an attach.
type plainTOML struct {
	root  *plainTable
	table *plainTable // of the last header
}

// plainTable is a struct that keys are set in.
type plainTable struct {
	reflect.Value
	set uint64 // bit i for field i
}

// decodePlainTOML reads a whole file into the struct at into and reports true, or changes
// nothing and reports false.
func decodePlainTOML(data []byte, into reflect.Value) bool {
	read := reflect.New(into.Type()).Elem()
	read.Set(into)
	root := &plainTable{Value: read}
	r := plainTOML{root: root, table: root}
	var parser unstable.Parser
	parser.Reset(data)
	for parser.NextExpression() {
		if !r.readExpression(parser.Expression()) {
			return false
		}
	}
	if parser.Error() != nil {
		return false
	}
	into.Set(read)
	return true
}

func (r *plainTOML) readExpression(e *unstable.Node) bool {
	key := e.Key()
	if !key.Next() || !key.IsLast() {
		return false
	}
	name := string(key.Node().Data)
	switch e.Kind {
	case unstable.KeyValue:
		return r.table.setKey(name, e.Value())
	case unstable.Table:
		return r.openTable(name)
	case unstable.ArrayTable:
		return r.appendTable(name)
	default:
		return false
	}
}

// openTable begins the table [name].
func (r *plainTOML) openTable(name string) bool {
	at, f := r.root.fieldOf(name)
	if at < 0 || r.root.has(at) || !isTable(f.Type()) {
		return false
	}
	r.root.set |= 1 << at
	r.table = &plainTable{Value: f}
	return true
}

// appendTable begins an element of the list of tables [[name]].
func (r *plainTOML) appendTable(name string) bool {
	at, f := r.root.fieldOf(name)
	if at < 0 || f.Kind() != reflect.Slice || !isTable(f.Type().Elem()) {
		return false
	}
	if r.root.has(at) != (f.Len() > 0) { // elements of the defaults, or of a list that was set as a value
		return false
	}
	r.root.set |= 1 << at
	f.Set(reflect.Append(f, reflect.Zero(f.Type().Elem())))
	r.table = &plainTable{Value: f.Index(f.Len() - 1)}
	return true
}

// fieldOf returns the index and the value of the field for a key, or -1.
func (t *plainTable) fieldOf(name string) (int, reflect.Value) {
	for i := range min(t.NumField(), 64) { // the bits of set
		if name != "" && tomlName(t.Type().Field(i)) == name {
			return i, t.Field(i)
		}
	}
	return -1, reflect.Value{}
}

func (t *plainTable) has(field int) bool { return t.set&(1<<field) != 0 }

// setKey sets a key of a table to a value that is no table.
func (t *plainTable) setKey(name string, value *unstable.Node) bool {
	at, f := t.fieldOf(name)
	if at < 0 || t.has(at) {
		return false
	}
	t.set |= 1 << at
	if f.Kind() == reflect.Pointer {
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	return setPlain(f, value)
}

// setPlain sets v to a value, if the value is of the kind that v's type has in a file.
func setPlain(v reflect.Value, value *unstable.Node) bool {
	word, isWord := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isWord:
		return value.Kind == unstable.String && word.UnmarshalText(value.Data) == nil
	case value.Kind == unstable.String && v.Kind() == reflect.String:
		v.SetString(string(value.Data))
		return true
	case value.Kind == unstable.Bool && v.Kind() == reflect.Bool:
		v.SetBool(string(value.Data) == "true")
		return true
	case value.Kind == unstable.Integer && (v.CanInt() || v.CanUint()):
		return setPlainNumber(v, string(value.Data))
	case value.Kind == unstable.Array && v.Kind() == reflect.Slice:
		return setPlainList(v, value)
	default:
		return false
	}
}

// setPlainNumber sets v to a decimal number without a sign, if v can hold it.
func setPlainNumber(v reflect.Value, digits string) bool {
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || digits[0] == '0' && n > 0 || n == 0 && digits != "0" {
		return false
	}
	if v.CanUint() {
		v.SetUint(n)
		return !v.OverflowUint(n)
	}
	v.SetInt(int64(n))
	return !v.OverflowInt(int64(n))
}

func setPlainList(v reflect.Value, list *unstable.Node) bool {
	n := 0
	for it := list.Children(); it.Next(); {
		n++
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	i := 0
	for it := list.Children(); it.Next(); i++ {
		if !setPlain(v.Index(i), it.Node()) {
			return false
		}
	}
	return true
}
