package mapping

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of an expression error (data-prep §7.8).
type Kind string

// Kinds of errors.
const (
	KindSyntax          Kind = "syntax"
	KindLength          Kind = "length"
	KindUnknownFunction Kind = "unknown_function"
	KindUnknownMethod   Kind = "unknown_method"
	KindArity           Kind = "arity"
	KindType            Kind = "type"
	KindArgument        Kind = "argument"
	KindArithmetic      Kind = "arithmetic"
	KindNull            Kind = "null"
	KindConvert         Kind = "convert"
)

// Codes of findings and errors (data-prep §4.2).
const (
	CodeBody       = "MAPPER-3000-400"
	CodeNoSet      = "MAPPER-3001-404"
	CodeNoMapping  = "MAPPER-3002-404"
	CodeNoVersion  = "MAPPER-3003-404"
	CodeNoTarget   = "MAPPER-3010-400"
	CodeDuplicate  = "MAPPER-3011-400"
	CodeNoField    = "MAPPER-3012-400"
	CodeConvert    = "MAPPER-3013-400"
	CodeNotMapped  = "MAPPER-3014-400"
	CodeMapping    = "MAPPER-3015-400"
	CodeNoSource   = "MAPPER-3016-400"
	CodeWildcard   = "MAPPER-3017-400"
	CodeIdentity   = "MAPPER-3018-400"
	CodeSyntax     = "MAPPER-3020-400"
	CodeFunction   = "MAPPER-3021-400"
	CodeArity      = "MAPPER-3022-400"
	CodeArgument   = "MAPPER-3023-400"
	CodeLength     = "MAPPER-3024-400"
	CodeMethod     = "MAPPER-3025-400"
	CodeInUse      = "MAPPER-3030-400"
	CodeQuery      = "MAPPER-3040-400"
	CodeTransform  = "MAPPER-3700-400"
	CodeNullified  = "MAPPER-3700-199"
	CodeRequired   = "INGEST-1555-400"
	CodeConstraint = "INGEST-1554-400"
)

// compileCodes gives the code of an error found without data. Errors found with data all are CodeTransform.
var compileCodes = map[Kind]string{
	KindSyntax:          CodeSyntax,
	KindLength:          CodeLength,
	KindUnknownFunction: CodeFunction,
	KindUnknownMethod:   CodeMethod,
	KindArity:           CodeArity,
	KindType:            CodeArgument,
	KindArgument:        CodeArgument,
	KindArithmetic:      CodeArgument,
	KindNull:            CodeArgument,
	KindConvert:         CodeConvert,
}

// Error is a fault of an expression, at compile time or with a record.
type Error struct {
	Kind Kind
	Code string
	// Message says what is wrong and, where it can, what to do; without the place.
	Message string
	// Line and Column are the place of the innermost failing part, from 1, counted in characters. 0 for a fault of the result as a whole.
	Line, Column int
	// Source is the expression.
	Source string
}

// Error is the message with line and column.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (%d:%d)", e.Message, e.Line, e.Column)
}

// Snippet is the faulty line of the expression with a caret under the place, "" if the place is unknown.
func (e *Error) Snippet() string {
	if e.Line == 0 {
		return ""
	}
	lines := strings.Split(e.Source, "\n")
	if e.Line > len(lines) {
		return ""
	}
	line := strings.TrimSuffix(lines[e.Line-1], "\r")
	var pad strings.Builder
	for i, r := range []rune(line) {
		if i >= e.Column-1 {
			break
		}
		if r == '\t' {
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	return line + "\n" + pad.String() + "^"
}

// place turns a byte offset into line and column.
func place(src string, at int) (line, column int) {
	at = min(at, len(src))
	before := src[:at]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// fault is an error without a place; the node that called adds it.
type fault struct {
	kind Kind
	msg  string
}

func (f *fault) Error() string { return f.msg }

func faultf(kind Kind, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// show is a value in a message: JSON, cut to 80 characters.
func show(text string) string {
	if utf8.RuneCountInString(text) > 80 {
		text = string([]rune(text)[:80]) + "…"
	}
	return text
}
