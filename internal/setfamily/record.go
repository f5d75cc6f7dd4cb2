package setfamily

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Wrapper is the member that wraps the records of the sets with [Case.Wrapped].
const Wrapper = "data"

// AppendRecord appends record i to b, without a line break: an order with nested objects, arrays of objects, values of every kind, some of them null,
// missing, or of a wrong type. Record i depends on i only.
func AppendRecord(b []byte, i int, wrapped bool) []byte {
	o := &order{rand.New(rand.NewPCG(uint64(i), 0x5e7)), b}
	if wrapped {
		o.raw(`{"` + Wrapper + `":`)
		o.record()
		o.raw("}")
		return o.b
	}
	o.record()
	return o.b
}

// order writes one record.
type order struct {
	*rand.Rand
	b []byte
}

func (o *order) raw(s string)            { o.b = append(o.b, s...) }
func (o *order) pick(of []string) string { return of[o.IntN(len(of))] }
func (o *order) percent(p int) bool      { return o.IntN(100) < p }

// member writes a member that may be missing or null; first members are always there.
func (o *order) member(name string, value func()) {
	if o.b[len(o.b)-1] != '{' {
		if o.percent(6) {
			return
		}
		o.raw(",")
	}
	o.raw(`"` + name + `":`)
	if o.percent(6) && name != "id" {
		o.raw("null")
		return
	}
	value()
}

func (o *order) of(values []string) func() { return func() { o.raw(o.pick(values)) } }

// Values as they are written in JSON, the last few of each of a kind that does not fit.
var (
	firstNames = []string{`"Ada"`, `"Grace"`, `" Alan "`, `"Jürgen"`, `"Zo\u00eb"`, `"Łukasz"`, `"李娜"`, `"maria"`, `"O'Neil"`, `""`, `17`}
	lastNames  = []string{`"Byron"`, `"Hopper"`, `"Turing"`, `"Groß"`, `"van der Berg"`, `"Núñez"`, `"Smith \"Jr\""`, `"lee"`, `"García"`}
	notes      = []string{`"Ring twice, then leave it at the door."`, `"none"`, `"Line one\nLine two"`, `"50% off \/ no returns"`, `"  padded  "`, `"x_y_z"`, `"\ud83d\ude00 thanks"`, `["not", "text"]`}
	codes      = []string{`"ab-12"`, `"AB-7"`, `"zz-900"`, `"k1"`, `"cd-12-xy"`, `"n/a"`, `"42"`, `"007"`}
	states     = []string{`"open"`, `"closed"`, `"paid"`, `"OPEN"`, `"returned"`}
	amounts    = []string{`12.50`, `"7.25"`, `0.1`, `99`, `"1e3"`, `1499.99`, `-3.5`, `"12,50"`, `"n/a"`, `100000000000000000000`}
	flags      = []string{`true`, `false`, `true`, `"yes"`, `"NO"`, `"on"`, `"maybe"`}
	stamps     = []string{`"2031-02-03T04:05:06Z"`, `"2030-12-31T23:59:59.123Z"`, `"2029-07-08T09:10:11+02:00"`, `"2031-03-07"`, `"2028-02-29T12:00:00Z"`}
	oldStamps  = []string{`"03/07/2031"`, `"2031-02-03 04:05:06.000"`, `"20310405"`, `1700000000000`, `"2031-Mar-07"`, `"07.03.2031"`, `"2031-02-30"`, `"soon"`}
	lists      = []string{`"a;b;;c"`, `"one"`, `"x,y;z"`, `"red;green;blue;red"`, `""`}
	pairsText  = []string{`"w=3;h=4"`, `"w=10;h=2;d=1"`, `"w = 7"`, `"none"`, `"h=;w=0"`}
	documents  = []string{`"{\"a\":1,\"b\":[true,null]}"`, `"[1,2,3]"`, `"\"text\""`, `"{\"a\":12345678901234567890}"`, `"{broken"`}
	links      = []string{`"https://shop.example:8443/a/b.html?q=tea&p=2#top"`, `"http://me:pw@www.example.org/"`, `"ftp://files.example/in/x.csv"`, `"not a url"`, `"https://example.com/?utm=a%20b"`}
	encoded    = []string{`"a+b%2Bc"`, `"50%25"`, `"plain"`, `"100%"`, `"%C3%A9t%C3%A9"`}
	agents     = []string{
		`"Mozilla/5.0 (iPhone; CPU iPhone OS 16_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1"`,
		`"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"`,
		`"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"`, `"curl/8.4.0"`, `""`,
	}
	events   = []string{`"prodView,event5=2:ab9,event6"`, `"event5,scOpen"`, `"purchase:77,event6=3"`, `""`}
	products = []string{`";One;1;3.50;event1=2:x,event2;eVar1=z|eVar2=y,b;Two;2;;;eVar1=q"`, `"shoes;Runner;2;80"`, `";;;"`, `"hats;Cap;1;9.99;event1:i7"`}
	zones    = []string{`"Europe/Paris"`, `"America/New_York"`, `"+02:00"`, `"UTC"`, `"x/y"`}
	tagWords = []string{`"new"`, `"vip"`, `"b2b"`, `"été"`, `"churn risk"`, `null`, `7`}
	colours  = []string{`"red"`, `"green"`, `"blue"`, `"bl\u00e4ulich"`, `12`}
	unicode  = []string{`"ß"`, `"ÀÉ"`, `"plain"`, `"ΣΑΣ"`}
)

func (o *order) record() {
	o.raw("{")
	o.member("id", func() { o.b = fmt.Appendf(o.b, `"%016x"`, o.Uint64()) })
	o.member("num", o.number)
	o.member("first", o.of(firstNames))
	o.member("last", o.of(lastNames))
	o.member("note", o.of(notes))
	o.member("code", o.of(codes))
	o.member("state", o.of(states))
	o.member("amount", o.of(amounts))
	o.member("flag", o.of(flags))
	o.member("created", o.of(stamps))
	o.member("updated", o.of(oldStamps))
	o.member("csv", o.of(lists))
	o.member("kv", o.of(pairsText))
	o.member("json", o.of(documents))
	o.member("url", o.of(links))
	o.member("enc", o.of(encoded))
	o.member("agent", o.of(agents))
	o.member("events", o.of(events))
	o.member("products", o.of(products))
	o.member("zone", o.of(zones))
	o.member("word", o.of(unicode))
	o.member("tags", func() { o.list(o.IntN(5), o.of(tagWords)) })
	o.member("nums", func() { o.list(o.IntN(6), o.number) })
	o.member("matrix", func() { o.list(o.IntN(3), func() { o.list(o.IntN(3), o.number) }) })
	o.member("attrs", o.attributes)
	o.member("lines", func() { o.list(o.IntN(5), o.line) })
	o.member("Total Net", o.of(amounts))
	if o.percent(30) {
		o.member("a.b", o.of(codes))
	}
	o.member("n1", func() { o.nest(2) })
	o.raw("}")
}

func (o *order) number() {
	switch o.IntN(12) {
	case 0:
		o.raw(`"` + strconv.Itoa(o.IntN(1000)) + `"`)
	case 1:
		o.raw(strconv.FormatFloat(float64(o.IntN(10000))/8, 'f', -1, 64))
	case 2:
		o.raw(`"x1"`)
	case 3:
		o.raw(strconv.Itoa(-o.IntN(100000)))
	default:
		o.raw(strconv.Itoa(o.IntN(100000)))
	}
}

func (o *order) list(n int, element func()) {
	o.raw("[")
	for i := range n {
		if i > 0 {
			o.raw(",")
		}
		element()
	}
	o.raw("]")
}

func (o *order) attributes() {
	o.raw("{")
	o.member("color", o.of(colours))
	o.member("size", o.number)
	o.member("made", o.of(stamps))
	o.raw("}")
}

// line is an element of lines; now and then it is no object.
func (o *order) line() {
	if o.percent(1) {
		o.raw(`"no line"`)
		return
	}
	o.raw("{")
	o.member("sku", o.of(codes))
	o.member("qty", o.number)
	o.member("price", o.of(amounts))
	o.member("attrs", o.attributes)
	o.member("parts", func() {
		o.list(o.IntN(3), func() {
			o.raw("{")
			o.member("n", o.of(codes))
			o.member("w", o.number)
			o.raw("}")
		})
	})
	o.member("tags", func() { o.list(o.IntN(3), o.of(tagWords)) })
	o.raw("}")
}

// nest is an object of level n; the objects below go down to level eight.
func (o *order) nest(n int) {
	o.raw("{")
	o.member("t", o.of(lastNames))
	o.member("v", o.number)
	o.member("d", o.of(stamps))
	if n == 3 {
		o.member("rows", func() { o.list(o.IntN(4), o.line) })
	}
	if n <= 8 {
		o.member("n"+strconv.Itoa(n), func() { o.nest(n + 1) })
	}
	o.raw("}")
}
