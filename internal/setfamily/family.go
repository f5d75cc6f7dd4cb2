package setfamily

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Size is how many sets the family has.
const Size = 200

// Case is one mapping set of the family.
type Case struct {
	// Name says what the set is made of, and how large it is.
	Name string
	// Style is the first part of the name: one of ten mixtures.
	Style string
	// Set is a mapping set, Schema the JSON Schema of its target.
	Set, Schema []byte
	// Wrapped sets read records inside the member [Wrapper].
	Wrapped bool
	// Mappings is how many rules the set has, Leaves how many leaves the target has, Depth how deep they nest.
	Mappings, Leaves, Depth int
}

// styles are the mixtures, in turn.
var styles = []string{"attributes", "text", "mixed", "functions", "arrays", "objects", "lambdas", "conditions", "wrapped", "nulls"}

// sizes are how many leaves a set is filled to; each style has each of them.
var sizes = []int{1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 65, 90, 130, 200, 300}

// Cases is the family. It is the same on every call.
func Cases() []Case {
	out := make([]Case, 0, Size)
	turn := &turns{}
	for s, style := range styles {
		for n, size := range sizes {
			b := &builder{Rand: rand.New(rand.NewPCG(uint64(s), uint64(n))), turns: turn, style: style, want: size, root: &target{}}
			out = append(out, b.build())
		}
	}
	return out
}

// turns are the positions in the tables of forms: every form comes up, whatever the random numbers.
type turns struct{ at [6]int }

// builder makes one set.
type builder struct {
	*rand.Rand
	turns    *turns
	style    string
	want     int
	root     *target
	leaves   int
	deepest  int
	rules    []rule
	required int // fields that must be there
	checks   int // leaves with a constraint
}

// rule is one mapping as the set has it.
type rule struct {
	SourceType  string `json:"sourceType"`
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

func (b *builder) build() Case {
	for b.leaves < b.want {
		b.step(b.want - b.leaves)
	}
	set := map[string]any{"xdmSchema": "https://ns.adobe.com/weir/schemas/family", "xdmVersion": "1.0", "mappings": b.rules}
	if b.style == "nulls" {
		set["allowNullValues"] = true
	}
	c := Case{
		Name: fmt.Sprintf("%s-%03d", b.style, b.want), Style: b.style, Set: encode(set), Schema: encode(b.root.schema()), Wrapped: b.style == "wrapped",
		Mappings: len(b.rules), Leaves: b.leaves, Depth: b.deepest,
	}
	return c
}

// encode writes JSON; its values are maps, slices and text, which always can be written.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// step adds one leaf, or one group of up to room leaves.
func (b *builder) step(room int) {
	roll := b.IntN(100)
	switch b.style {
	case "attributes":
		if roll < 6 && room >= 4 {
			b.list(room)
			return
		}
		b.attribute()
	case "text":
		b.turn(0, textForms)
	case "functions":
		b.turn(1+b.leaves%5, [][]form{dateForms, logicForms, arrayForms, objectForms, textForms}[b.leaves%5])
	case "arrays":
		b.arrays(roll, room)
	case "objects":
		switch {
		case roll < 25 && room >= 3:
			b.copied()
		case roll < 35:
			b.attribute()
		default:
			b.turn(4, objectForms)
		}
	case "lambdas":
		b.add(b.next(5, lambdaForms))
	case "conditions":
		b.add(form{text, b.expression(pickKind(b.Rand), 4)})
	default: // mixed, wrapped, nulls
		b.mixed(roll, room)
	}
}

func (b *builder) arrays(roll, room int) {
	switch {
	case roll < 40 && room >= 2:
		b.list(room)
	case roll < 50:
		b.scalars()
	case roll < 60:
		b.indexed()
	default:
		b.turn(3, arrayForms)
	}
}

func (b *builder) mixed(roll, room int) {
	switch {
	case roll < 45:
		b.attribute()
	case roll < 60:
		b.turn(0, textForms)
	case roll < 70:
		b.turn(2, logicForms)
	case roll < 76:
		b.turn(1, dateForms)
	case roll < 81:
		b.scalars()
	case roll < 86 && room >= 3:
		b.copied()
	case roll < 92 && room >= 2:
		b.list(room)
	case roll < 95:
		b.turn(4, objectForms)
	case roll < 97:
		b.add(b.next(5, lambdaForms))
	default:
		b.turn(3, arrayForms)
	}
}

// next is the form whose turn it is.
func (b *builder) next(table int, forms []form) form {
	f := forms[b.turns.at[table]%len(forms)]
	b.turns.at[table]++
	return f
}

func (b *builder) turn(table int, forms []form) { b.add(b.next(table, forms)) }

// add maps an expression of a form to a new leaf, list or map of a fitting type.
func (b *builder) add(f form) {
	b.map1("EXPRESSION", b.fill(f.text, 1+b.IntN(2)), b.types(f.gives))
}

// types is the target for values of a kind; now and then one they seldom fit.
func (b *builder) types(k kind) *target {
	leaf := func(of ...string) *target { return &target{typ: of[b.IntN(len(of))]} }
	switch k {
	case whole:
		return leaf("integer", "long", "string", "number", "short")
	case number:
		return leaf("number", "number", "string", "integer")
	case boolean:
		return leaf("boolean", "boolean", "string")
	case date:
		return leaf("date-time", "date-time", "date", "string", "long")
	case array:
		return &target{typ: "array", elem: leaf("string", "string", "string", "number")}
	case rows:
		return &target{typ: "array", elem: b.line()}
	case object:
		if b.IntN(3) == 0 {
			return &target{typ: "map", elem: leaf("string")}
		}
		return &target{typ: "object", names: []string{"color", "size"}, kids: []*target{leaf("string"), leaf("string", "number")}}
	default:
	}
	return leaf("string", "string", "string", "string", "string", "string", "integer")
}

// constrained gives a few leaves a constraint that one record in twenty breaks.
func (b *builder) constrained(t *target) {
	if b.checks == 2 || b.IntN(8) > 0 {
		return
	}
	b.checks++
	switch t.typ {
	case "string":
		t.rule, t.value = "maxLength", 36
		if b.IntN(3) == 0 {
			t.rule, t.value = "pattern", "^[^#]*$"
		}
	case "integer", "long", "number":
		t.rule, t.value = "minimum", -80000
	}
}

// line is the type of an element of lines.
func (b *builder) line() *target {
	return &target{typ: "object", names: []string{"sku", "qty", "price"}, kids: []*target{{typ: "string"}, {typ: "integer"}, {typ: "number"}}}
}

// attribute copies a field, or writes a constant.
func (b *builder) attribute() {
	if b.IntN(25) == 0 {
		b.map1("STATIC", []string{"fixed", "7", "true", "2031-01-02"}[b.IntN(4)], &target{typ: "string"})
		return
	}
	k := []kind{text, text, text, whole, number, boolean, date}[b.IntN(7)]
	t := b.types(k)
	b.constrained(t)
	source := b.pick(attributeFields[k])
	b.map1("ATTRIBUTE", source, t)
}

// attributeFields are the paths of each kind.
var attributeFields = map[kind][]string{
	text:    {"first", "last", "code", "state", "id", "word", "note", "n1.t", "n1.n2.n3.t", "attrs.color", "lines[0].sku", "csv", "kv", "url", "zone", "a.b", `a\.b`, "n1.n2.n3.n4.n5.n6.n7.n8.t"},
	whole:   {"num", "n1.v", "n1.n2.n3.v", "lines[0].qty", "nums[1]", "attrs.size"},
	number:  {"amount", "Total Net", "lines[1].price", "num"},
	boolean: {"flag"},
	date:    {"created", "updated", "n1.d", "attrs.made"},
}

// scalars copies an array of scalars.
func (b *builder) scalars() {
	b.map1("ATTRIBUTE", b.pick([]string{"tags", "nums", "lines[*].sku", "lines[*].tags[*]", "n1.n2.rows[*].qty", "lines[*].attrs.color"}), &target{typ: "array", elem: &target{typ: "string"}})
}

// indexed builds an array of single elements.
func (b *builder) indexed() {
	at := b.place(&target{typ: "array", elem: &target{typ: "string"}})
	for i := range 1 + b.IntN(3) {
		b.rules = append(b.rules, rule{"ATTRIBUTE", b.pick(attributeFields[text]), fmt.Sprintf("%s[%d]", at, i)})
	}
}

// list copies an array of objects: as a whole, or member by member.
func (b *builder) list(room int) {
	from := b.pick([]string{"lines", "lines", "n1.n2.rows"})
	line := b.line()
	if room >= 6 && b.IntN(3) == 0 {
		line.names = append(line.names, "attrs", "parts")
		line.kids = append(line.kids, &target{typ: "object", names: []string{"color", "made"}, kids: []*target{{typ: "string"}, {typ: "date-time"}}},
			&target{typ: "array", elem: &target{typ: "object", names: []string{"n", "w"}, kids: []*target{{typ: "string"}, {typ: "number"}}}})
	}
	if b.IntN(3) == 0 {
		b.map1("ATTRIBUTE", from, &target{typ: "array", elem: line})
		return
	}
	at := b.place(&target{typ: "array", elem: line})
	for i, name := range line.names[:3] {
		if i > 0 && b.IntN(5) == 0 {
			continue
		}
		b.rules = append(b.rules, rule{"ATTRIBUTE", from + "[*]." + name, at + "[*]." + name})
	}
	if len(line.names) == 5 {
		b.rules = append(b.rules, rule{"ATTRIBUTE", from + "[*].attrs.color", at + "[*].attrs.color"}, rule{"ATTRIBUTE", from + "[*].parts[*].n", at + "[*].parts[*].n"})
	}
	if b.IntN(8) == 0 {
		b.rules = append(b.rules, rule{"EXPRESSION", "transformArray(" + from + `, l -> to_object("color", l.sku))`, b.place(&target{typ: "array", elem: &target{typ: "object", names: []string{"color"}, kids: []*target{{typ: "string"}}}})})
	}
}

// copied copies an object, sometimes with a rule for one member.
func (b *builder) copied() {
	t := &target{typ: "object", names: []string{"color", "size", "made"}, kids: []*target{{typ: "string"}, {typ: "number"}, {typ: "date-time"}}}
	if b.IntN(4) == 0 {
		t = &target{typ: "map", elem: &target{typ: "string"}}
	}
	at := b.place(t)
	b.rules = append(b.rules, rule{"ATTRIBUTE", b.pick([]string{"attrs", "attrs", "lines[0].attrs"}), at})
	if t.typ == "object" && b.IntN(3) == 0 {
		b.rules = append(b.rules, rule{"EXPRESSION", b.fill(b.pick([]string{"upper({T})", "nullify()", `iif({B}, {T}, nullify())`}), 1), at + ".color"})
	}
}

func (b *builder) pick(of []string) string { return of[b.IntN(len(of))] }

func (b *builder) map1(kind, source string, t *target) {
	b.rules = append(b.rules, rule{kind, source, b.place(t)})
}

// place puts a target into the schema, one to eight levels deep, and returns its path.
func (b *builder) place(t *target) string {
	depth := 1 + b.IntN(3)
	if b.IntN(4) == 0 {
		depth = 1 + b.IntN(8)
	}
	at, path := b.root, make([]string, 0, depth)
	for range depth - 1 {
		name := "g" + string(rune('a'+b.IntN(3)))
		at = at.member(name, &target{})
		path = append(path, name)
	}
	name := fmt.Sprintf("f%d", b.leaves)
	if t.typ != "array" && t.typ != "map" && t.typ != "object" && b.IntN(30) == 0 && b.required < 1 {
		b.required++
		at.required = append(at.required, name)
	}
	at.member(name, t)
	b.leaves += t.leaves()
	b.deepest = max(b.deepest, depth)
	return strings.Join(append(path, name), ".")
}

// fill puts expressions into the holes of a form.
func (b *builder) fill(form string, depth int) string {
	var out strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] == '{' && i+2 < len(form) && form[i+2] == '}' && strings.IndexByte("TINBDAROX", form[i+1]) >= 0 {
			k := kind(form[i+1])
			if k == 'X' {
				k = pickKind(b.Rand)
			}
			out.WriteString(b.expression(k, b.IntN(depth+1)))
			i += 2
			continue
		}
		out.WriteByte(form[i])
	}
	return out.String()
}

func pickKind(r *rand.Rand) kind {
	return []kind{text, text, text, whole, number, boolean, date}[r.IntN(7)]
}

// expression is an expression of a kind, with forms up to depth levels deep.
func (b *builder) expression(k kind, depth int) string {
	if depth <= 0 {
		return b.pick(fields[k])
	}
	tables := [][]form{textForms, dateForms, logicForms, logicForms}
	if k == array || k == rows || k == object {
		tables = [][]form{arrayForms, objectForms, textForms}
	}
	for range 3 {
		table := tables[b.IntN(len(tables))]
		i := b.IntN(len(table))
		n := slices.IndexFunc(table[i:], func(f form) bool { return f.gives == k })
		if n >= 0 {
			return b.fill(table[i+n].text, depth-1)
		}
	}
	return b.pick(fields[k])
}
