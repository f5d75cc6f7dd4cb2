package mapping

import (
	"fmt"
	"strings"
)

// FunctionDoc describes one way to call a function, as the language endpoint lists it (data-prep §3.8).
type FunctionDoc struct {
	Category    string     `json:"category"`
	Function    string     `json:"function"`
	Description string     `json:"description"`
	Syntax      string     `json:"syntax"`
	Returns     string     `json:"returns"`
	ReturnType  string     `json:"returnType"`
	Example     string     `json:"example"`
	Result      string     `json:"result"`
	Params      []ParamDoc `json:"params"`
	Since       int        `json:"since"`
}

// ParamDoc describes a parameter.
type ParamDoc struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Type        string `json:"type"`
	DataType    string `json:"dataType"`
	Position    int    `json:"position"`
}

// OperatorDoc describes an operator.
type OperatorDoc struct {
	Symbol      string `json:"operatorSymbol"`
	Method      string `json:"methodName"`
	Operands    int    `json:"numberOfOperands"`
	Description string `json:"description"`
	Example     string `json:"example"`
}

// javaTypes are the types of parameters as the original's clients know them.
var javaTypes = map[ptype]string{
	pAny: "java.lang.Object", pText: "java.lang.String", pInt: "java.lang.Integer", pNum: "java.lang.Number", pBool: "java.lang.Boolean",
	pDate: "java.time.ZonedDateTime", pArr: "[Ljava.lang.Object;", pObj: "java.util.Map", pLambda: "java.util.function.Function",
}

// javaReturn is the type of a result.
func javaReturn(k kinds) string {
	for _, t := range []struct {
		k kinds
		p ptype
	}{{kBool, pBool}, {kInt, pInt}, {kDec, pNum}, {kNum, pNum}, {kText, pText}, {kDate, pDate}, {kArr, pArr}, {kObj, pObj}} {
		if k == t.k {
			return javaTypes[t.p]
		}
	}
	return javaTypes[pAny]
}

// shortType is a Java type without its package.
func shortType(java string) string {
	if strings.HasPrefix(java, "[L") {
		return "Object[]"
	}
	return java[strings.LastIndexByte(java, '.')+1:]
}

// Functions lists every function with one entry for each way to call it.
func Functions() []FunctionDoc {
	var out []FunctionDoc
	for _, family := range families {
		for i := range family {
			f := &family[i]
			for j := range f.sigs {
				s := &f.sigs[j]
				for n := s.minArgs(); n <= len(s.params)-s.rest; n++ {
					out = append(out, f.document(s, n))
				}
			}
		}
	}
	return out
}

// document describes a call with n arguments before those that repeat.
func (f *function) document(s *signature, n int) FunctionDoc {
	d := FunctionDoc{Category: f.category, Function: f.name, Description: f.doc, ReturnType: javaReturn(s.returns), Params: []ParamDoc{}, Since: 1}
	d.Returns = s.returns.String()
	params := s.params[:n]
	if n == len(s.params)-s.rest {
		params = s.params
	}
	names := make([]string, len(params))
	for i := range params {
		p := &params[i]
		names[i] = p.name
		d.Params = append(d.Params, ParamDoc{Name: p.name, Description: p.doc, Type: paramNames[p.typ], DataType: javaTypes[p.typ], Position: i})
	}
	list := strings.Join(names, ", ")
	if s.rest > 0 && len(params) == len(s.params) {
		list += "..."
	}
	d.Syntax = fmt.Sprintf("%s %s(%s)", shortType(d.ReturnType), f.name, list)
	for _, x := range f.examples {
		if x.fails == "" {
			d.Example, d.Result = x.expr, x.want
			break
		}
	}
	return d
}

// Operators lists the operators of the language endpoint (data-prep §3.8).
func Operators() []OperatorDoc {
	return []OperatorDoc{
		{"+", "add", 2, "Adds numbers; joins if either side is text.", `1 + 2`},
		{"-", "subtract", 2, "Subtracts numbers.", `5 - 2`},
		{"*", "multiply", 2, "Multiplies numbers.", `price * qty`},
		{"/", "divide", 2, "Divides numbers; two integers without a fraction.", `7 / 2.0`},
		{"%", "mod", 2, "The rest of a division, never negative for integers.", `7 % 4`},
		{"&", "and", 2, "The bits that are set on both sides.", `6 & 3`},
		{"|", "or", 2, "The bits that are set on either side.", `6 | 3`},
		{"^", "xor", 2, "The bits that are set on one side only.", `6 ^ 3`},
		{"==", "equals", 2, "Whether both sides are equal; numbers and numeric text by value.", `status == "open"`},
		{"<", "lessThan", 2, "Whether the left side is less; false if one is null.", `qty < 10`},
		{"<=", "lessThanOrEqual", 2, "Whether the left side is less or equal.", `qty <= 10`},
		{">", "greaterThan", 2, "Whether the left side is greater.", `qty > 10`},
		{">=", "greaterThanOrEqual", 2, "Whether the left side is greater or equal.", `qty >= 10`},
		{"=~", "contains", 2, "Whether text matches a regular expression as a whole, an array holds a value, or an object has a key.", `code =~ "[A-Z]+"`},
		{"=^", "startsWith", 2, "Whether text starts with another.", `code =^ "A"`},
		{"=$", "endsWith", 2, "Whether text ends with another.", `mail =$ ".org"`},
		{"!", "not", 1, "The opposite of a boolean.", `!active`},
		{"~", "complement", 1, "All bits turned around.", `~5`},
		{"-", "negate", 1, "The number with the opposite sign.", `-qty`},
		{"empty", "empty", 1, "Whether a value is null, empty text, an empty array or object, or 0.", `empty tags`},
		{"size", "size", 1, "The length of text, an array or an object.", `size tags`},
	}
}

// Reference is the reference page of all functions and methods, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Mapping functions\n\nGenerated from the function literals in `mapping/funcs_*.go`; the tests run every example.\n\n" +
		"Values in brackets may be left out, `...` repeats. Unless a function says otherwise, null in a required argument gives null.\n")
	category := ""
	for _, family := range families {
		for i := range family {
			f := &family[i]
			if f.category != category {
				category = f.category
				fmt.Fprintf(&b, "\n## %s\n", category)
			}
			fmt.Fprintf(&b, "\n### %s\n\n", f.name)
			for j := range f.sigs {
				fmt.Fprintf(&b, "    %s → %s\n", f.sigs[j].usage(f.name), f.sigs[j].returns)
			}
			fmt.Fprintf(&b, "\n%s\n", f.doc)
			if f.alias != "" {
				fmt.Fprintf(&b, "\nAnother name of `%s`.\n", f.alias)
			}
			b.WriteString("\n| Expression | Record | Result |\n|---|---|---|\n")
			for _, x := range f.examples {
				result := "`" + x.want + "`"
				if x.fails != "" {
					result = "error: " + string(x.fails)
				}
				record := ""
				if x.in != "" {
					record = "`" + x.in + "`"
				}
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", tableCell(x.expr), tableCell(record), tableCell(result))
			}
		}
	}
	b.WriteString("\n## Methods\n\n| Receiver | Methods |\n|---|---|\n")
	for _, on := range []ptype{pText, pObj, pArr} {
		var names []string
		for i := range methods {
			if m := &methods[i]; m.on == on {
				names = append(names, "`"+m.usage()+"`")
			}
		}
		fmt.Fprintf(&b, "| %s | %s |\n", paramNames[on], strings.Join(names, " "))
	}
	b.WriteString("\nNumbers, booleans and dates have the methods of their text. On null every method gives null, `equals` and `equalsIgnoreCase` false.\n")
	b.WriteString("\n## Operators\n\n| Operator | Meaning | Example |\n|---|---|---|\n")
	for _, o := range Operators() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` |\n", tableCell(o.Symbol), o.Description, tableCell(o.Example))
	}
	return b.String()
}

// tableCell escapes text for a table cell.
func tableCell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func (m *method) usage() string {
	s := signature{params: m.params}
	return s.usage(m.name)
}
