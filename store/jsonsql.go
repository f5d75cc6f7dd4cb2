package store

import (
	"strconv"
	"strings"
)

// jsonSQL writes the SQL that reads inside of documents. Both dialects step through arrays by themselves, as the operators promise.
type jsonSQL interface {
	// metaHas reports whether Meta has the member.
	metaHas(b *builder, member string) string
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
	// pattern turns the value of Like into the pattern of textMatch.
	pattern(v string) string
	// textMatch is Contains, Prefix or Like on a text expression.
	textMatch(expr string, op Op, mark string) string
	// noLimit is the LIMIT that OFFSET needs.
	noLimit() string
}

// throughArrays is the shape that any has on both databases: most members are plain values that no array leads to, and those are compared
// in place; only where an array is found, its elements are unfolded, which costs ten times as much.
func throughArrays(isScalar, scalar string, isArray []string, elements string) string {
	return "CASE WHEN " + isScalar + " THEN (" + scalar + ") WHEN " + strings.Join(isArray, " OR ") + " THEN " + elements + " ELSE 1 = 0 END"
}

type sqliteJSON struct{}

func (sqliteJSON) metaHas(b *builder, member string) string {
	return "meta <> '{}' AND json_type(meta, " + b.arg(quotePath([]string{member})) + ") IS NOT NULL"
}

func (sqliteJSON) direct(b *builder, member string, values []string) string {
	// The very expression of the index; NULL for a missing member must not make the whole NULL, since NOT stays NULL.
	expr := "body ->> '$." + member + "'"
	return expr + " IS NOT NULL AND " + expr + " IN (" + strings.Join(b.texts(Eq, values), ", ") + ")"
}

func (j sqliteJSON) any(b *builder, doc string, c Cond) string {
	kind := func(path []string) string {
		return "coalesce(json_type(" + doc + ", " + b.arg(quotePath(path)) + "), 'null')"
	}
	o := b.operands(c)
	full := b.arg(quotePath(c.Path))
	value := "json_extract(" + doc + ", " + full + ")"
	scalar := "1 = 1"
	isScalar := kind(c.Path) + " NOT IN ('null', 'array', 'object')"
	if c.Op == Exists {
		isScalar = kind(c.Path) + " <> 'null'"
	} else {
		scalar = b.scalar(sqliteElement("json_type("+doc+", "+full+")", value), c, o)
	}
	var isArray []string
	for i := range c.Path {
		isArray = append(isArray, kind(c.Path[:i+1])+" = 'array'")
	}
	return throughArrays(isScalar, scalar, isArray, j.elements(b, doc, c, o))
}

// elements joins one json_each for each segment: the elements of the array at the segment, or the value there as the only one.
func (sqliteJSON) elements(b *builder, doc string, c Cond, o operands) string {
	var from strings.Builder
	at, alias := doc, ""
	for i, seg := range c.Path {
		mark := b.arg(quotePath([]string{seg}))
		if i == len(c.Path)-1 && c.Op == Exists {
			exists := "coalesce(json_type(" + at + ", " + mark + "), 'null') <> 'null'"
			if alias == "" {
				return exists
			}
			return "EXISTS (SELECT 1 FROM " + from.String() + " WHERE " + exists + ")"
		}
		if i > 0 {
			from.WriteString(", ")
		}
		alias = "e" + strconv.Itoa(i)
		from.WriteString("json_each(CASE json_type(" + at + ", " + mark + ") WHEN 'array' THEN " + at + " -> " + mark +
			" ELSE json_array(" + at + " -> " + mark + ") END) AS " + alias)
		at = "(CASE " + alias + ".type WHEN 'object' THEN " + alias + ".value END)"
	}
	return "EXISTS (SELECT 1 FROM " + from.String() + " WHERE " + b.scalar(sqliteElement(alias+".type", alias+".value"), c, o) + ")"
}

func sqliteElement(kind, value string) element {
	return element{
		isText: kind + " = 'text'", text: value,
		isBool: kind + " IN ('true', 'false')", bool: kind,
		isNumber: kind + " IN ('integer', 'real')", number: value,
		textNumber: "weir_num(" + value + ")",
	}
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

func (sqliteJSON) pattern(v string) string {
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
	return glob.String()
}

func (sqliteJSON) textMatch(expr string, op Op, mark string) string {
	switch op {
	case Contains:
		return "instr(" + expr + ", " + mark + ") > 0"
	case Prefix:
		return "substr(" + expr + ", 1, length(" + mark + ")) = " + mark
	default:
		return expr + " GLOB " + mark
	}
}

type postgresJSON struct{}

func (postgresJSON) metaHas(b *builder, member string) string {
	return "meta_q ? " + b.arg(member) + "::text"
}

func (postgresJSON) direct(b *builder, member string, values []string) string {
	expr := "(body_q ->> '" + member + `') COLLATE "C"`
	terms := b.texts(Eq, values)
	for i, mark := range terms {
		terms[i] = "left(" + expr + ", 128) = left(" + mark + "::text, 128) AND " + expr + " = " + mark + "::text"
	}
	return expr + " IS NOT NULL AND (" + strings.Join(terms, " OR ") + ")"
}

// at is the value at a path that leads through objects only, else null. (#> would take digits for the index of an array.)
func (postgresJSON) at(b *builder, doc string, path []string) string {
	var steps strings.Builder
	for _, seg := range path {
		steps.WriteString(" -> " + b.arg(seg) + "::text")
	}
	return "(" + doc + steps.String() + ")"
}

// any unfolds arrays with a path query in lax mode.
func (j postgresJSON) any(b *builder, doc string, c Cond) string {
	o := b.operands(c)
	value := j.at(b, doc, c.Path)
	var isArray []string
	for i := range c.Path {
		isArray = append(isArray, "jsonb_typeof("+j.at(b, doc, c.Path[:i+1])+") = 'array'")
	}
	if c.Op == Exists {
		elements := "EXISTS (SELECT 1 FROM jsonb_path_query(" + doc + ", " + b.arg(quotePath(c.Path)) + "::jsonpath) AS v(j) WHERE v.j <> 'null')"
		return throughArrays("coalesce("+value+", 'null') <> 'null'", "1 = 1", isArray, elements)
	}
	elements := "EXISTS (SELECT 1 FROM jsonb_path_query(" + doc + ", " + b.arg(quotePath(c.Path)+"[*]") + "::jsonpath) AS v(j) WHERE coalesce(" +
		b.scalar(postgresElement("v.j"), c, o) + ", false))"
	return throughArrays("jsonb_typeof("+value+") IN ('string', 'number', 'boolean')",
		"coalesce("+b.scalar(postgresElement(value), c, o)+", false)", isArray, elements)
}

func postgresElement(value string) element {
	kind, text := "jsonb_typeof("+value+")", "("+value+" #>> '{}')"
	return element{
		isText: kind + " = 'string'", text: text + ` COLLATE "C"`,
		isBool: kind + " = 'boolean'", bool: text,
		isNumber: kind + " = 'number'", number: "(CASE WHEN " + kind + " = 'number' THEN (" + value + ")::numeric END)",
		textNumber: "(CASE WHEN " + kind + " = 'string' AND " + text + " ~ '" + numberPattern + "' THEN " + text + "::numeric END)",
	}
}

// numberPattern is what isNumber accepts, within the range that a numeric holds.
const numberPattern = `^[+-]?[0-9]{1,150}([.][0-9]{1,40})?([eE][+-]?[0-3]?[0-9]?[0-9])?$`

func (j postgresJSON) sortKeys(b *builder, doc string, path []string) (rank, num, text string) {
	value := j.at(b, doc, path)
	kind := "jsonb_typeof(" + value + ")"
	rank = "(CASE " + kind + " WHEN 'number' THEN 1 WHEN 'string' THEN 2 WHEN 'boolean' THEN 2 ELSE 0 END)"
	num = "(CASE " + kind + " WHEN 'number' THEN " + value + "::numeric ELSE 0 END)"
	text = "(CASE WHEN " + kind + " IN ('string', 'boolean') THEN " + value + ` #>> '{}' ELSE '' END) COLLATE "C"`
	return rank, num, text
}

func (postgresJSON) numberArg(b *builder, n string) string { return b.arg(n) + "::numeric" }

func (postgresJSON) numberText(expr string) string { return "CAST(" + expr + " AS TEXT)" }

func (postgresJSON) noLimit() string { return "" }

func (postgresJSON) pattern(v string) string {
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
	return like.String()
}

func (postgresJSON) textMatch(expr string, op Op, mark string) string {
	switch op {
	case Contains:
		return "strpos(" + expr + ", " + mark + "::text) > 0"
	case Prefix:
		return "starts_with(" + expr + ", " + mark + "::text)"
	default:
		return expr + " LIKE " + mark + "::text"
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
