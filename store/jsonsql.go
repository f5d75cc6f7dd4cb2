package store

import (
	"strings"
)

// jsonSQL writes the SQL that reads inside of documents. Both dialects step through arrays by themselves, as the operators promise.
type jsonSQL interface {
	// has reports whether the document doc has the top-level member.
	has(b *builder, doc, member string) string
	// direct compares an indexed member of the body with texts.
	direct(b *builder, member string, values []string) string
	// any holds if a value at the path of doc matches the condition.
	any(b *builder, doc string, c Cond) string
	// sortKeys are never null: rank (0 missing, 1 number, 2 text), number, text.
	sortKeys(b *builder, doc string, path []string) (rank, num, text string)
	// matcher is what is not about JSON but differs all the same.
	matcher
}

type matcher interface {
	// numberArg adds a number as an argument.
	numberArg(b *builder, n string) string
	// numberText selects a number as text that brings exactly this number back.
	numberText(expr string) string
	// textMatch is Contains, Prefix or Like on a text expression.
	textMatch(b *builder, expr string, op Op, v string) string
	// noLimit is the LIMIT that OFFSET needs.
	noLimit() string
}

type sqliteJSON struct{}

func (sqliteJSON) has(b *builder, doc, member string) string {
	return "json_type(" + doc + ", " + b.arg(quotePath([]string{member})) + ") IS NOT NULL"
}

func (sqliteJSON) direct(b *builder, member string, values []string) string {
	// The very expression of the index; NULL for a missing member must not make the whole NULL, since NOT stays NULL.
	expr := "body ->> '$." + member + "'"
	return expr + " IS NOT NULL AND " + expr + " IN " + list(b, values)
}

// any joins one json_each for each segment: the elements of the array at the segment, or the value there as the only one.
func (j sqliteJSON) any(b *builder, doc string, c Cond) string {
	var from strings.Builder
	last := len(c.Path) - 1
	at := doc
	alias := ""
	for i, seg := range c.Path {
		mark := b.arg(quotePath([]string{seg}))
		if i == last && c.Op == Exists {
			exists := "coalesce(json_type(" + at + ", " + mark + "), 'null') <> 'null'"
			if alias == "" {
				return exists
			}
			return "EXISTS (SELECT 1 FROM " + from.String() + " WHERE " + exists + ")"
		}
		if i > 0 {
			from.WriteString(", ")
		}
		alias = "e" + string(rune('a'+i))
		from.WriteString("json_each(CASE json_type(" + at + ", " + mark + ") WHEN 'array' THEN " + at + " -> " + mark +
			" ELSE json_array(" + at + " -> " + mark + ") END) AS " + alias)
		at = "(CASE " + alias + ".type WHEN 'object' THEN " + alias + ".value END)"
	}
	e := element{
		isText: alias + ".type = 'text'", text: alias + ".value",
		isBool: alias + ".type IN ('true', 'false')", bool: alias + ".type",
		isNumber: alias + ".type IN ('integer', 'real')", number: alias + ".value",
		textNumber: "weir_num(" + alias + ".value)",
	}
	return "EXISTS (SELECT 1 FROM " + from.String() + " WHERE " + b.scalar(e, c) + ")"
}

func (sqliteJSON) sortKeys(b *builder, doc string, path []string) (rank, num, text string) {
	mark := b.arg(quotePath(path))
	kind := "json_type(" + doc + ", " + mark + ")"
	value := "json_extract(" + doc + ", " + mark + ")"
	rank = "(CASE " + kind + " WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 WHEN 'true' THEN 2 WHEN 'false' THEN 2 ELSE 0 END)"
	num = "(CASE " + kind + " WHEN 'integer' THEN " + value + " WHEN 'real' THEN max(min(" + value + ", 1e308), -1e308) ELSE 0 END)"
	text = "(CASE " + kind + " WHEN 'text' THEN " + value + " WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE '' END)"
	return rank, num, text
}

func (sqliteJSON) numberArg(b *builder, n string) string { return b.arg(sqliteNumber(n)) }

// numberText prints a double with the digits that identify it.
func (sqliteJSON) numberText(expr string) string {
	return "CASE typeof(" + expr + ") WHEN 'real' THEN printf('%!.17g', " + expr + ") ELSE CAST(" + expr + " AS TEXT) END"
}

func (sqliteJSON) noLimit() string { return " LIMIT -1" }

func (sqliteJSON) textMatch(b *builder, expr string, op Op, v string) string {
	switch op {
	case Contains:
		return "instr(" + expr + ", " + b.arg(v) + ") > 0"
	case Prefix:
		mark := b.arg(v)
		return "substr(" + expr + ", 1, length(" + mark + ")) = " + mark
	default:
		var glob strings.Builder
		for _, part := range splitLike(v) {
			switch part {
			case "*":
				glob.WriteByte('*')
			case "**":
				glob.WriteString("[*]")
			default:
				glob.WriteString(strings.NewReplacer("?", "[?]", "[", "[[]").Replace(part))
			}
		}
		return expr + " GLOB " + b.arg(glob.String())
	}
}

type postgresJSON struct{}

func (postgresJSON) has(b *builder, doc, member string) string {
	return doc + " ? " + b.arg(member) + "::text"
}

func (postgresJSON) direct(b *builder, member string, values []string) string {
	expr := "(body_q ->> '" + member + `') COLLATE "C"`
	terms := make([]string, len(values))
	for i, v := range values {
		mark := b.arg(strings.ReplaceAll(strings.ToValidUTF8(v, "\uFFFD"), "\x00", "\uFFFD")) + "::text"
		terms[i] = "left(" + expr + ", 128) = left(" + mark + ", 128) AND " + expr + " = " + mark
	}
	return expr + " IS NOT NULL AND (" + strings.Join(terms, " OR ") + ")"
}

// any is a path query in lax mode, which steps through arrays.
func (postgresJSON) any(b *builder, doc string, c Cond) string {
	path := quotePath(c.Path)
	if c.Op == Exists {
		return "EXISTS (SELECT 1 FROM jsonb_path_query(" + doc + ", " + b.arg(path) + "::jsonpath) AS v(j) WHERE v.j <> 'null')"
	}
	e := element{
		isText: "jsonb_typeof(v.j) = 'string'", text: `(v.j #>> '{}') COLLATE "C"`,
		isBool: "jsonb_typeof(v.j) = 'boolean'", bool: "(v.j #>> '{}')",
		isNumber: "jsonb_typeof(v.j) = 'number'", number: "(CASE WHEN jsonb_typeof(v.j) = 'number' THEN (v.j)::numeric END)",
		textNumber: "(CASE WHEN jsonb_typeof(v.j) = 'string' AND (v.j #>> '{}') ~ '" + numberPattern + "' THEN (v.j #>> '{}')::numeric END)",
	}
	return "EXISTS (SELECT 1 FROM jsonb_path_query(" + doc + ", " + b.arg(path+"[*]") + "::jsonpath) AS v(j) WHERE coalesce(" +
		b.scalar(e, c) + ", false))"
}

// numberPattern is what isNumber accepts, within the range that a numeric holds.
const numberPattern = `^[+-]?[0-9]{1,150}([.][0-9]{1,40})?([eE][+-]?[0-3]?[0-9]?[0-9])?$`

func (postgresJSON) sortKeys(b *builder, doc string, path []string) (rank, num, text string) {
	value := doc
	for _, seg := range path { // one step each: #> would take digits for the index of an array
		value += " -> " + b.arg(seg) + "::text"
	}
	value = "(" + value + ")"
	kind := "jsonb_typeof(" + value + ")"
	rank = "(CASE " + kind + " WHEN 'number' THEN 1 WHEN 'string' THEN 2 WHEN 'boolean' THEN 2 ELSE 0 END)"
	num = "(CASE " + kind + " WHEN 'number' THEN " + value + "::numeric ELSE 0 END)"
	text = "(CASE WHEN " + kind + " IN ('string', 'boolean') THEN " + value + ` #>> '{}' ELSE '' END) COLLATE "C"`
	return rank, num, text
}

func (postgresJSON) numberArg(b *builder, n string) string { return b.arg(n) + "::numeric" }

func (postgresJSON) numberText(expr string) string { return "CAST(" + expr + " AS TEXT)" }

func (postgresJSON) noLimit() string { return "" }

func (postgresJSON) textMatch(b *builder, expr string, op Op, v string) string {
	switch op {
	case Contains:
		return "strpos(" + expr + ", " + b.arg(v) + "::text) > 0"
	case Prefix:
		return "starts_with(" + expr + ", " + b.arg(v) + "::text)"
	default:
		var like strings.Builder
		for _, part := range splitLike(v) {
			switch part {
			case "*":
				like.WriteByte('%')
			case "**":
				like.WriteByte('*')
			default:
				like.WriteString(strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(part))
			}
		}
		return expr + " LIKE " + b.arg(like.String()) + "::text"
	}
}

// splitLike cuts a pattern into "*" (any text), "**" (a star) and plain parts.
func splitLike(pattern string) (parts []string) {
	for pattern != "" {
		i := strings.IndexByte(pattern, '*')
		switch {
		case i < 0:
			return append(parts, pattern)
		case i > 0:
			parts, pattern = append(parts, pattern[:i]), pattern[i:]
		case strings.HasPrefix(pattern, "**"):
			parts, pattern = append(parts, "**"), pattern[2:]
		default:
			parts, pattern = append(parts, "*"), pattern[1:]
		}
	}
	return parts
}
