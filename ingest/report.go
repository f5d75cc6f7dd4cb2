package ingest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/mapping"
)

// messages are what the entries of a report say, by code.
var messages = map[string]string{
	codeParse:   "Rows could not be parsed.",
	codeConvert: "Values do not satisfy the constraints of their fields.",
	codeMissing: "Required fields are missing or null.",
	codeMapper:  "Mapper Transform Error",
}

// report makes the entries of the report in a fixed order.
func (p *promotion) report() Report {
	r := p.out
	r.Mapper = p.counts[codeMapper]
	for code, n := range p.counts {
		m := messages[code]
		if m == "" {
			m = "Rows do not satisfy the schema."
		}
		r.Errors = append(r.Errors, weir.RunError{Code: code, Message: m, RecordCount: n})
	}
	slices.SortFunc(r.Errors, func(a, b weir.RunError) int { return strings.Compare(a.Code, b.Code) })
	for c, n := range p.columns {
		c.Rows = n
		r.Columns = append(r.Columns, c)
	}
	slices.SortFunc(r.Columns, func(a, b ColumnCount) int {
		return cmp.Or(-cmp.Compare(a.Rows, b.Rows), strings.Compare(a.Column, b.Column), strings.Compare(a.Code, b.Code))
	})
	lost, dropped := ofCode(r.Columns, mapping.CodeNullified), ofCode(r.Columns, mapping.CodeUnknownMember)
	if r.Warned > 0 {
		text := warningText("Rows were ingested with columns left empty, because a value could not be mapped or converted: ", lost)
		r.Warnings = append(r.Warnings, weir.RunError{Code: mapping.CodeNullified, Message: text, RecordCount: r.Warned})
	}
	if len(dropped) > 0 { // at least as many rows as the member that came most often
		text := warningText("Members that the schema does not have were dropped: ", dropped)
		r.Warnings = append(r.Warnings, weir.RunError{Code: mapping.CodeUnknownMember, Message: text, RecordCount: dropped[0].Rows})
	}
	return r
}

func ofCode(columns []ColumnCount, code string) []ColumnCount {
	return slices.DeleteFunc(slices.Clone(columns), func(c ColumnCount) bool { return c.Code != code })
}

// warningText names the columns that lost most values.
func warningText(text string, columns []ColumnCount) string {
	const most = 5
	var b strings.Builder
	b.WriteString(text)
	for i, c := range columns {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(columns)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%d)", c.Column, c.Rows)
	}
	return b.String()
}
