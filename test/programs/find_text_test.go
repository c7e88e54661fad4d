package programs

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"strconv"
)

// unknownWord replaces a part of a script that is not a literal.
const unknownWord = "unknown-word"

// names are the values of constants and variables with a name, by "package directory.name".
type names map[string]string

// findNames returns the texts of the constants and variables of packages that are declared with a literal.
func findNames(all []source) names {
	found := names{}
	for _, s := range all {
		for _, decl := range s.file.Decls {
			list, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range list.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok || len(value.Values) != len(value.Names) {
					continue
				}
				for i, name := range value.Names {
					if !isCall(value.Values[i]) {
						found[filepath.Dir(s.path)+"."+name.Name] = text(value.Values[i])
					}
				}
			}
		}
	}
	return found
}

// named returns the text of an expression, or of the constant or variable that it names.
func (n names) named(s source, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return n[filepath.Dir(s.path)+"."+e.Name]
	case *ast.BinaryExpr: // a sum that begins with a name
		if left := n.named(s, e.X); left != "" && e.Op == token.ADD {
			return left + orUnknown(n.named(s, e.Y))
		}
	case *ast.CallExpr: // strings.Replace(script, …)
		for _, arg := range e.Args {
			if value := n.named(s, arg); value != "" {
				return value
			}
		}
	}
	return text(e)
}

// text returns the value of a string literal, or of a sum that begins with one, or "".
// Parts that are not literals are replaced by a word.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(e.Value)
		if err == nil && e.Kind == token.STRING {
			return value
		}
	case *ast.BinaryExpr:
		if left := text(e.X); left != "" && e.Op == token.ADD {
			return left + orUnknown(text(e.Y))
		}
	case *ast.CallExpr: // fmt.Sprintf(format, …), fmt.Appendf(nil, format, …)
		for _, arg := range e.Args {
			if s := text(arg); s != "" {
				return s
			}
		}
	}
	return ""
}

func orUnknown(word string) string {
	if word == "" {
		return unknownWord
	}
	return word
}
