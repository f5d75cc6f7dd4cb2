package main

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"time"
	"unicode/utf8"
)

// random is splitmix64: small, fast and the same in every Go version.
type random struct{ s uint64 }

func (r *random) next() uint64 {
	r.s += 0x9e3779b97f4a7c15
	z := r.s
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (r *random) below(n int) int           { hi, _ := bits.Mul64(r.next(), uint64(n)); return int(hi) }
func (r *random) percent(p float64) bool    { return float64(r.next()>>11)/(1<<53)*100 < p }
func (r *random) pick(from []string) string { return from[r.below(len(from))] }

// The words the members are made of.
var (
	asciiFirst = []string{
		"Vivek", "Anna", "James", "Maria", "Robert", "Linda", "Thomas", "Sarah", "Daniel", "Laura", "Kevin", "Emma", "Oliver", "Sophia", "Lucas", "Mia", "Noah", "Isabella",
		"Ethan", "Charlotte", "Benjamin", "Amelia", "Alexander", "Harper", "William", "Evelyn", "Henry", "Abigail", "Sebastian", "Emily", "Jack", "Elizabeth", "Priya", "Rahul",
		"Fatima", "Omar", "Aisha", "Kenji", "Yuki", "Mateo",
	}
	otherFirst = []string{
		"José", "Zoë", "Łukasz", "Søren", "Renée", "Jürgen", "François", "Anaïs", "Björn", "Małgorzata", "Ольга", "Дмитрий", "李娜", "伟", "美咲", "健太", "محمد", "فاطمة", "Γιώργος",
		"지우", "Çağla", "Nguyễn", "Siobhán", "Ümit",
	}
	asciiLast = []string{
		"Tiwari", "Smith", "Johnson", "Garcia", "Miller", "Davis", "Martinez", "Lopez", "Wilson", "Anderson", "Taylor", "Moore", "Jackson", "Martin", "Lee", "Thompson", "White",
		"Harris", "Clark", "Lewis", "Robinson", "Walker", "Young", "Allen", "King", "Wright", "Scott", "Hill", "Green", "Adams", "Baker", "Nelson", "Carter", "Mitchell", "Roberts",
		"O'Brien", "van der Berg", "Turner", "Phillips", "Campbell", "Patel", "Khan", "Tanaka", "Suzuki",
	}
	otherLast = []string{
		"Müller", "Núñez", "Kowalczyk-Łęcka", "Sørensen", "Lefèvre", "Groß", "Иванова", "Петров", "王", "佐藤", "العربي", "Παπαδόπουλος", "김", "Yılmaz", "Trần", "Ó Súilleabháin",
		"Åkesson", "Dvořák",
	}
	domains = []string{
		"gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "example.com", "example.org", "mail.example.net", "web.de", "gmx.net", "proton.me",
		"corp.example.co.uk", "uni-example.edu", "aol.com", "live.com", "orange.fr",
	}
	streets = []string{
		"Main St", "Oak Avenue", "Market Street", "Rue de la Paix", "Königsallee", "Calle Mayor", "High Street", "Park Road", "Via Roma", "Elm Drive", "Bahnhofstraße", "Maple Court",
		"Avenida Paulista", "Sunset Blvd", "5th Ave",
	}
	flats  = []string{"", "", "", "", "Apt 4B", "Suite 200", "Floor 3", "c/o Smith \"Bros\"", "Unit 12\\7", "PO Box 991"}
	cities = [][3]string{
		{"New York", "NY", "US"},
		{"San José", "CA", "US"},
		{"Atlanta", "GA", "US"},
		{"Berlin", "", "de"},
		{"München", "BY", "DE"},
		{"Paris", "", "FR"},
		{"Lyon", "", "fr"},
		{"London", "", "GB"},
		{"São Paulo", "SP", "BR"},
		{"Mumbai", "MH", "IN"},
		{"Bengaluru", "KA", "in"},
		{"Tokyo", "", "JP"},
		{"Toronto", "ON", "CA"},
		{"Kraków", "", "PL"},
		{"Sydney", "NSW", "AU"},
		{"Ciudad de México", "CDMX", "MX"},
	}
	states = []string{
		"subscribed", "subscribed", "subscribed", "subscribed", "subscribed", "subscribed", "unsubscribed", "unsubscribed", "cleaned", "pending", "transactional",
	}
	clients   = []string{"Gmail", "Apple Mail", "Outlook 2016", "iPhone", "Android", "Yahoo", "Thunderbird", ""}
	languages = []string{"en", "en", "en", "de", "fr", "es", "pt", "ja", "hi", "", "en_GB"}
	origins   = []string{"Admin Add", "API - Generic", "List Import from CSV", "Hosted Signup Form", "Embed Form", "Integration \u2013 Shop", "POPUP FORM"}
	zones     = []string{"America/New_York", "Europe/Berlin", "Europe/Paris", "Asia/Kolkata", "Asia/Tokyo", "America/Sao_Paulo", "Australia/Sydney", ""}
	tags      = []string{
		"newsletter", "VIP", "customer", "lead", "webinar 2021", "black-friday", "trial", "churn risk", "beta", "événement", "partner/reseller", "EU", "loyalty \u2605", "early-bird",
		"inactive 90d",
	}
	permissions = []string{"Email", "Direct Mail", "Customized Online Advertising"}
	notes       = []string{
		"Asked for a call back next week, prefers mornings.", "Met at the \"Spring\" conference \u2014 interested in enterprise plan.",
		"Unhappy with delivery times \U0001F61E; follow up in Q3.", "Line one\nLine two\tTabbed.", "Upgraded from trial; ref: https://crm.example.com/deals/48213?src=mc&x=1",
	}
	badMails  = []string{"", "no-at-sign.example.com", "two@@example.com", "space in@example.com", "@example.com", "user@", "user@localhost", "user@exa mple.com", "n/a"}
	interests = []string{"9143cf3bd1", "3a2a927344", "f9c8f5f0ff"}
	epoch     = time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)
)

// member writes one record. Record i depends on i only.
type member struct {
	random
	b       []byte
	escaped bool // non-ASCII characters and slashes as escapes, as some servers write them
	first   string
	last    string
	city    [3]string
}

// appendMember appends record i to b.
func appendMember(b []byte, i int) []byte {
	const seed = 1
	m := &member{random: random{seed ^ (uint64(i)+1)*0xd1342543de82ef95}, b: b}
	m.next()
	m.escaped = m.percent(35)
	m.first, m.last = m.pick(asciiFirst), m.pick(asciiLast)
	if m.percent(18) {
		m.first = m.pick(otherFirst)
	}
	if m.percent(18) {
		m.last = m.pick(otherLast)
	}
	m.city = cities[m.below(len(cities))]
	m.head()
	m.mergeFields()
	m.figures()
	m.times()
	m.location()
	m.tail()
	return m.b
}

func (m *member) raw(s string)   { m.b = append(m.b, s...) }
func (m *member) int(n int)      { m.b = strconv.AppendInt(m.b, int64(n), 10) }
func (m *member) bool(p float64) { m.b = strconv.AppendBool(m.b, m.percent(p)) }

func (m *member) hex(n int) {
	const digits = "0123456789abcdef"
	for n > 0 {
		x := m.next()
		for k := 0; k < 16 && n > 0; k++ {
			m.b = append(m.b, digits[x&15])
			x >>= 4
			n--
		}
	}
}

// text appends s as JSON text.
func (m *member) text(s string) {
	b := append(m.b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c == '\n':
				b = append(b, '\\', 'n')
			case c == '\t':
				b = append(b, '\\', 't')
			case c == '/' && m.escaped:
				b = append(b, '\\', '/')
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case !m.escaped:
			b = append(b, s[i:i+n]...)
		case r >= 0x10000:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += n
	}
	m.b = append(b, '"')
}

func (m *member) time() {
	t := epoch.Add(time.Duration(m.below(200_000_000)) * time.Second)
	m.raw(`"`)
	m.b = t.AppendFormat(m.b, "2006-01-02T15:04:05")
	m.raw(`+00:00"`)
}

func (m *member) ip() {
	m.b = fmt.Appendf(m.b, `"%d.%d.%d.%d"`, 1+m.below(223), m.below(256), m.below(256), m.below(256))
}

func (m *member) head() {
	m.raw(`{"id":"`)
	m.hex(32)
	m.raw(`","email_address":`)
	if m.percent(0.5) {
		m.text(m.pick(badMails))
	} else {
		m.mail()
	}
	m.raw(`,"unique_email_id":"`)
	m.hex(10)
	m.raw(`","contact_id":"`)
	m.hex(32)
	m.raw(`","full_name":`)
	if m.percent(4) {
		m.raw(`null`)
	} else {
		m.text(m.first + " " + m.last)
	}
	m.raw(`,"web_id":`)
	m.int(500_000_000 + m.below(99_000_000))
	m.raw(`,"email_type":"html","status":"` + m.pick(states) + `","consents_to_one_to_one_messaging":`)
	m.bool(70)
	m.raw(`,"sms_phone_number":"","sms_subscription_status":"nonsubscribed"`)
}

func (m *member) mail() {
	m.raw(`"`)
	first, last := m.pick(asciiFirst), m.pick(asciiLast)
	mixed := m.percent(12)
	name := func(s string) {
		for k := range len(s) {
			c := s[k]
			if c == ' ' || c == '\'' {
				continue
			}
			if !mixed && c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			m.b = append(m.b, c)
		}
	}
	name(first)
	m.b = append(m.b, "._-+"[m.below(4)])
	name(last)
	m.int(m.below(100000))
	m.raw(`@` + m.pick(domains) + `"`)
}

func (m *member) mergeFields() {
	m.raw(`,"merge_fields":{"FNAME":`)
	if m.percent(3) {
		m.raw(`null`)
	} else {
		m.text(m.first)
	}
	m.raw(`,"LNAME":`)
	m.text(m.last)
	m.raw(`,"ADDRESS":`)
	switch {
	case m.percent(8):
		m.raw(`null`)
	case m.percent(30):
		m.raw(`{"addr1":"","addr2":"","city":"","state":"","zip":"","country":"US"}`)
	default:
		m.raw(`{"addr1":`)
		m.text(strconv.Itoa(1+m.below(9999)) + " " + m.pick(streets))
		m.raw(`,"addr2":`)
		m.text(m.pick(flats))
		m.raw(`,"city":`)
		m.text(m.city[0])
		m.raw(`,"state":`)
		m.text(m.city[1])
		m.raw(`,"zip":"`)
		m.b = fmt.Appendf(m.b, "%05d", m.below(100000))
		m.raw(`","country":"` + m.city[2] + `"}`)
	}
	m.raw(`,"PHONE":"`)
	if m.percent(55) {
		m.b = fmt.Appendf(m.b, "+%d %03d-%03d-%04d", 1+m.below(98), m.below(1000), m.below(1000), m.below(10000))
	}
	m.raw(`"`)
	if m.percent(70) {
		m.raw(`,"BIRTHDAY":"`)
		if m.percent(50) {
			m.b = fmt.Appendf(m.b, "%02d/%02d", 1+m.below(12), 1+m.below(28))
		}
		m.raw(`"`)
	}
	m.raw(`}`)
}

func (m *member) figures() {
	m.raw(`,"interests":{`)
	for k, id := range interests {
		if k > 0 {
			m.raw(`,`)
		}
		m.raw(`"` + id + `":`)
		m.bool(40)
	}
	rate := func(zero float64) {
		if m.percent(zero) {
			m.raw(`0`)
		} else {
			m.b = strconv.AppendFloat(m.b, float64(m.below(10001))/10000, 'f', -1, 64)
		}
	}
	m.raw(`},"stats":{"avg_open_rate":`)
	rate(35)
	m.raw(`,"avg_click_rate":`)
	rate(60)
	if m.percent(40) {
		m.b = fmt.Appendf(m.b, `,"ecommerce_data":{"total_revenue":%d.%02d,"number_of_orders":%d,"currency_code":"USD"}`, m.below(5000), m.below(100), m.below(40))
	}
	m.raw(`}`)
}

func (m *member) times() {
	m.raw(`,"ip_signup":`)
	if m.percent(60) {
		m.raw(`""`)
	} else {
		m.ip()
	}
	m.raw(`,"timestamp_signup":`)
	if m.percent(60) {
		m.raw(`""`)
	} else {
		m.time()
	}
	m.raw(`,"ip_opt":`)
	m.ip()
	m.raw(`,"timestamp_opt":`)
	if m.percent(2) {
		m.raw(`""`)
	} else {
		m.time()
	}
	m.raw(`,"member_rating":`)
	m.int(1 + m.below(5))
	m.raw(`,"last_changed":`)
	m.time()
}

func (m *member) location() {
	m.raw(`,"language":"` + m.pick(languages) + `","vip":`)
	m.bool(5)
	m.raw(`,"email_client":"` + m.pick(clients) + `","location":{"latitude":`)
	if m.percent(25) {
		m.raw(`0,"longitude":0,"gmtoff":0,"dstoff":0,"country_code":"","timezone":"","region":""}`)
		return
	}
	m.b = strconv.AppendFloat(m.b, float64(m.below(1800000)-900000)/10000, 'f', -1, 64)
	m.raw(`,"longitude":`)
	m.b = strconv.AppendFloat(m.b, float64(m.below(3600000)-1800000)/10000, 'f', -1, 64)
	m.b = fmt.Appendf(m.b, `,"gmtoff":%d,"dstoff":%d,"country_code":"%s","timezone":`, m.below(24)-12, m.below(24)-12, m.city[2])
	m.text(m.pick(zones))
	m.raw(`,"region":"` + m.city[1] + `"}`)
}

func (m *member) tail() {
	m.raw(`,"marketing_permissions":[`)
	if m.percent(30) {
		for k := range 2 {
			if k > 0 {
				m.raw(`,`)
			}
			m.raw(`{"marketing_permission_id":"`)
			m.hex(10)
			m.raw(`","text":`)
			m.text(permissions[k])
			m.raw(`,"enabled":`)
			m.bool(50)
			m.raw(`}`)
		}
	}
	m.raw(`]`)
	if m.percent(25) {
		m.raw(`,"last_note":{"note_id":`)
		m.int(m.below(1_000_000))
		m.raw(`,"created_at":`)
		m.time()
		m.raw(`,"created_by":"admin","note":`)
		m.text(m.pick(notes))
		m.raw(`}`)
	}
	m.raw(`,"source":`)
	m.text(m.pick(origins))
	n := m.below(5)
	m.b = fmt.Appendf(m.b, `,"tags_count":%d,"tags":[`, n)
	for k := range n {
		if k > 0 {
			m.raw(`,`)
		}
		m.b = fmt.Appendf(m.b, `{"id":%d,"name":`, 100000+m.below(99999))
		m.text(m.pick(tags))
		m.raw(`}`)
	}
	m.raw(`],"list_id":"10c097ca71"}`)
}

// writeMembers writes n members to a file, one a line.
func writeMembers(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var b []byte
	for i := range n {
		b = append(appendMember(b[:0], i), '\n')
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
