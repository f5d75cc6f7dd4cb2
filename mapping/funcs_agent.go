package mapping

import (
	"strings"

	"weir/record"
)

const categoryAgent = "User Agent"

var agentFunctions = []function{
	agentField("ua_os_name", "The name of the operating system.", func(a *userAgent) string { return a.osName }, `"iOS"`),
	agentField("ua_os_version", "The version of the operating system.", func(a *userAgent) string { return a.osVersion }, `"16.5.1"`),
	agentField("ua_os_version_major", "The name and major version of the operating system.", func(a *userAgent) string {
		if a.osVersion == a.osName {
			return a.osName
		}
		if a.osName == "Mac OS" && a.osVersion != "??" && strings.HasPrefix(a.osVersion, "10.") {
			return a.osTitle() + " 10." + major(a.osVersion[3:])
		}
		return a.osTitle() + " " + major(a.osVersion)
	}, `"iOS 16"`),
	agentField("ua_os_name_version", "The name and version of the operating system.", func(a *userAgent) string {
		if a.osVersion == a.osName {
			return a.osName
		}
		return a.osTitle() + " " + a.osVersion
	}, `"iOS 16.5.1"`),
	agentField("ua_agent_name", "The name of the browser or program.", func(a *userAgent) string { return a.name }, `"Safari"`),
	agentField("ua_agent_version", "The version of the browser or program.", func(a *userAgent) string { return a.version }, `"16.5"`),
	agentField("ua_agent_version_major", "The name and major version of the browser or program.", func(a *userAgent) string { return a.name + " " + major(a.version) }, `"Safari 16"`),
	agentField("ua_device_class", "The class of the device: Desktop, Phone, Tablet, Mobile, Watch, TV, Game Console, Robot, Hacker, Unknown and others.", func(a *userAgent) string { return a.device }, `"Phone"`),
}

const sampleAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1"

func agentField(name, doc string, get func(*userAgent) string, want string) function {
	return function{
		name: name, category: categoryAgent, doc: doc + " Unknown versions are ??.",
		sigs: []signature{{params: []param{text("text", "the text")}, returns: kText, run: func(c *call, a []record.Value) (record.Value, error) {
			return record.TextOf(get(c.env().agent(a[0].Text()))), nil
		}}},
		examples: []example{{expr: name + "(ua)", in: `{"ua":"` + sampleAgent + `"}`, want: want}},
	}
}

// userAgent is what a user-agent text says.
type userAgent struct {
	osName, osVersion, name, version, device string
}

// osTitle is the name that goes before a version: Windows NT is called Windows there.
func (a *userAgent) osTitle() string {
	if a.osName == "Windows NT" {
		return "Windows"
	}
	return a.osName
}

// major is a version up to its first dot.
func major(version string) string {
	m, _, _ := strings.Cut(version, ".")
	return m
}

const maxAgent = 2048

func parseAgent(s string) *userAgent {
	if len(s) > maxAgent {
		s = s[:maxAgent]
	}
	a := &userAgent{osName: "Unknown", osVersion: "??", name: "Unknown", version: "??", device: "Unknown"}
	if strings.ContainsAny(s, "<>") || strings.Contains(strings.ToLower(s), "select ") && strings.Contains(s, "'") {
		return &userAgent{osName: "Hacker", osVersion: "Hacker", name: "Hacker", version: "Hacker", device: "Hacker"}
	}
	a.system(s)
	a.program(s)
	a.class(s)
	return a
}

// windowsVersions are the names of Windows by the NT version.
var windowsVersions = map[string]string{"10.0": "10.0", "6.3": "8.1", "6.2": "8", "6.1": "7", "6.0": "Vista", "5.2": "XP", "5.1": "XP", "5.0": "2000"}

// systems are texts that tell the operating system, and what stands before its version; the first one found counts.
var systems = []struct {
	token, name string
	before      []string
}{
	{"Windows Phone", "Windows Phone", []string{"Windows Phone OS ", "Windows Phone "}},
	{"Windows NT", "Windows NT", []string{"Windows NT "}},
	{"iPhone", "iOS", []string{"iPhone OS ", "CPU OS ", "iOS "}},
	{"iPad", "iOS", []string{"iPhone OS ", "CPU OS ", "iOS "}},
	{"iPod", "iOS", []string{"iPhone OS ", "CPU OS ", "iOS "}},
	{"Mac OS X", "Mac OS", []string{"Mac OS X "}},
	{"Macintosh", "Mac OS", nil},
	{"CrOS", "Chrome OS", nil},
	{"Tizen", "Tizen", []string{"Tizen "}},
	{"Web0S", "WebOS", nil},
	{"WebOS", "WebOS", nil},
	{"KAIOS", "KaiOS", []string{"KAIOS/"}},
	{"Android", "Android", []string{"Android "}},
	{"PlayStation", "PlayStation", nil},
	{"Ubuntu", "Ubuntu", []string{"Ubuntu/"}},
	{"FreeBSD", "FreeBSD", nil},
	{"Linux", "Linux", nil},
	{"X11", "Linux", nil},
	{"Googlebot", "Google", nil},
}

func (a *userAgent) system(s string) {
	for i := range systems {
		sys := &systems[i]
		if !strings.Contains(s, sys.token) {
			continue
		}
		version := after(s, sys.before...)
		if sys.name == "Chrome OS" {
			version = lastWord(inside(s, "CrOS "))
		}
		if known, ok := windowsVersions[version]; ok && sys.name == "Windows NT" {
			version = known
		}
		a.osName = sys.name
		if sys.name == "Google" { // a cloud has no version of its own
			a.osVersion = sys.name
		}
		if version = strings.ReplaceAll(version, "_", "."); version != "" {
			a.osVersion = version
		}
		return
	}
}

// programs are product names in the text and what they are called; the first one found counts.
var programs = []struct{ token, name string }{
	{"Edg/", "Edge"},
	{"EdgA/", "Edge"},
	{"EdgiOS/", "Edge"},
	{"Edge/", "Edge"},
	{"OPR/", "Opera"},
	{"OPiOS/", "Opera"},
	{"Opera Mini/", "Opera Mini"},
	{"SamsungBrowser/", "SamsungBrowser"},
	{"YaBrowser/", "Yandex Browser"},
	{"Vivaldi/", "Vivaldi"},
	{"UCBrowser/", "UCBrowser"},
	{"Silk/", "Silk"},
	{"DuckDuckGo/", "DuckDuckGo"},
	{"Whale/", "Whale"},
	{"FBAV/", "Facebook"},
	{"Instagram ", "Instagram"},
	{"CriOS/", "Chrome"},
	{"FxiOS/", "Firefox"},
	{"HeadlessChrome/", "HeadlessChrome"},
	{"Seamonkey/", "SeaMonkey"},
	{"Firefox/", "Firefox"},
	{"Chromium/", "Chromium"},
	{"Chrome/", "Chrome"},
	{"Opera/", "Opera"},
	{"curl/", "curl"},
	{"Wget/", "Wget"},
	{"PostmanRuntime/", "PostmanRuntime"},
	{"okhttp/", "okhttp"},
	{"python-requests/", "python-requests"},
	{"Go-http-client/", "Go-http-client"},
	{"Java/", "Java"},
}

// robots are names of crawlers, also found without a version.
var robots = []string{
	"Googlebot-Image", "Googlebot-Mobile", "Googlebot", "AdsBot-Google", "Mediapartners-Google", "bingbot", "BingPreview", "Baiduspider", "YandexBot", "DuckDuckBot", "Applebot",
	"facebookexternalhit", "Twitterbot", "LinkedInBot", "Slackbot", "AhrefsBot", "SemrushBot", "MJ12bot", "PetalBot", "GPTBot", "Bytespider", "archive.org_bot", "Yahoo! Slurp",
}

func (a *userAgent) program(s string) {
	for _, r := range robots {
		if strings.Contains(s, r) {
			a.name, a.version, a.device = r, orUnknown(after(s, r+"/")), "Robot"
			return
		}
	}
	for _, p := range programs {
		if v := after(s, p.token); v != "" {
			a.name, a.version = p.name, v
			return
		}
	}
	switch {
	case strings.Contains(s, "MSIE "):
		a.name, a.version = "Internet Explorer", orUnknown(after(s, "MSIE "))
	case strings.Contains(s, "Trident/"):
		a.name, a.version = "Internet Explorer", orUnknown(after(s, "rv:"))
	case strings.Contains(s, "Safari/") && strings.Contains(s, "Android"):
		a.name, a.version = "Stock Browser", orUnknown(after(s, "Version/"))
	case strings.Contains(s, "Safari/"):
		a.name, a.version = "Safari", orUnknown(after(s, "Version/"))
	case strings.Contains(s, "AppleWebKit/") && a.osName == "iOS":
		a.name, a.version = "UIWebView", orUnknown(after(s, "AppleWebKit/"))
	default:
		if name, rest, ok := strings.Cut(s, "/"); ok && name != "Mozilla" && name != "" && len(name) <= 64 {
			a.name, a.version = name, orUnknown(version(rest))
		}
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "??"
	}
	return s
}

// classes are texts that tell the class of a device; the first one found counts.
var classes = []struct{ token, class string }{
	{"PlayStation Vita", "Handheld Game Console"},
	{"Nintendo Switch", "Handheld Game Console"},
	{"Nintendo 3DS", "Handheld Game Console"},
	{"PlayStation", "Game Console"},
	{"Xbox", "Game Console"},
	{"Nintendo", "Game Console"},
	{"Apple TV", "Set-top box"},
	{"AppleTV", "Set-top box"},
	{"Roku", "Set-top box"},
	{"BRAVIA", "TV"},
	{"SMART-TV", "TV"},
	{"SmartTV", "TV"},
	{"Smart TV", "TV"},
	{"GoogleTV", "TV"},
	{"HbbTV", "TV"},
	{"Web0S", "TV"},
	{"CrKey", "Set-top box"},
	{"AFT", "Set-top box"},
	{"Watch", "Watch"},
	{"Quest", "Virtual Reality"},
	{"Kindle", "eReader"},
	{"iPad", "Tablet"},
	{"iPhone", "Phone"},
	{"iPod", "Phone"},
	{"Windows Phone", "Phone"},
	{"KAIOS", "Phone"},
	{"Opera Mini", "Phone"},
	{"Tablet", "Tablet"},
	{"CrOS", "Desktop"},
	{"Windows NT", "Desktop"},
	{"Macintosh", "Desktop"},
}

func (a *userAgent) class(s string) {
	if a.device == "Robot" {
		return
	}
	low := strings.ToLower(s)
	if strings.Contains(low, "bot/") || strings.Contains(low, "spider") || strings.Contains(low, "crawler") {
		a.device = "Robot"
		return
	}
	for _, c := range classes {
		if strings.Contains(s, c.token) {
			a.device = c.class
			return
		}
	}
	switch {
	case strings.Contains(s, "Android") && strings.Contains(s, "Mobile"):
		a.device = "Phone"
	case strings.Contains(s, "Android"):
		a.device = "Tablet"
	case strings.Contains(s, "Mobile"):
		a.device = "Mobile"
	case a.osName == "Linux" || a.osName == "Ubuntu" || a.osName == "FreeBSD":
		a.device = "Desktop"
	case strings.HasPrefix(s, "curl/") || strings.HasPrefix(s, "Wget/") || strings.HasPrefix(s, "python-requests/") || strings.HasPrefix(s, "Go-http-client/") || strings.HasPrefix(s, "Java/"):
		a.device = "Robot"
	}
}

// after is the version behind the first of the tokens that has one.
func after(s string, tokens ...string) string {
	for _, t := range tokens {
		if _, rest, ok := strings.Cut(s, t); ok {
			if v := version(rest); v != "" {
				return v
			}
		}
	}
	return ""
}

// version is the digits, dots and underscores at the start of a text.
func version(s string) string {
	n := 0
	for n < len(s) && (s[n]-'0' <= 9 || n > 0 && (s[n] == '.' || s[n] == '_')) {
		n++
	}
	return strings.Trim(s[:n], "._")
}

// inside is what stands between a token and the end of its group.
func inside(s, token string) string {
	_, rest, _ := strings.Cut(s, token)
	end := strings.IndexAny(rest, ");")
	if end < 0 {
		return rest
	}
	return rest[:end]
}

func lastWord(s string) string { return version(s[strings.LastIndexByte(s, ' ')+1:]) }
