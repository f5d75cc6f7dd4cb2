package xdm

import (
	"strings"
)

// Namespace is the host of the standard components and of every tenant's resources.
const Namespace = "https://ns.adobe.com/"

const libraryBase = Namespace + "xdm/"

// served turns a property name of the library notation into the path of served names (contract §1.6): xdm:foo is foo, @id is _id,
// repo:createDate is _repo/createDate, and a URL keeps its last part inside a group made of the part before it.
func served(name string) []string {
	switch {
	case strings.HasPrefix(name, "xdm:"):
		return []string{name[len("xdm:"):]}
	case strings.HasPrefix(name, "@"):
		return []string{"_" + name[1:]}
	case strings.Contains(name, "://"):
		return servedURL(name)
	}
	if p, rest, ok := strings.Cut(name, ":"); ok && p != "" && rest != "" {
		return []string{"_" + camel(p), camel(rest)}
	}
	return []string{name}
}

func servedURL(name string) []string {
	_, path, _ := strings.Cut(name, "://")
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '#' })
	for i := range parts {
		parts[i] = camel(parts[i])
	}
	if len(parts) > 2 && parts[0] == "ns.adobe.com" && parts[1] == "experience" {
		parts = parts[1:]
	} else if len(parts) > 2 {
		parts = parts[len(parts)-2:]
	}
	parts[0] = "_" + parts[0]
	return parts
}

// camel removes dashes and raises the letter after each.
func camel(s string) string {
	if !strings.Contains(s, "-") {
		return s
	}
	var b strings.Builder
	up := false
	for _, r := range s {
		switch {
		case r == '-':
			up = b.Len() > 0
		case up:
			b.WriteString(strings.ToUpper(string(r)))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// groupURLs are the groups whose members have a URL as library name.
var groupURLs = map[string]string{
	"_experience": Namespace + "experience/",
	"_channels":   libraryBase + "channels/",
}

// original is the library name of a served path of one or two names: the inverse of served.
func original(path []string) string {
	if len(path) == 1 {
		if rest, ok := strings.CutPrefix(path[0], "_"); ok {
			return "@" + rest
		}
		return "xdm:" + path[0]
	}
	if base, ok := groupURLs[path[0]]; ok {
		return base + dashed(path[1])
	}
	return strings.TrimPrefix(path[0], "_") + ":" + path[1]
}

// dashed is the inverse of camel.
func dashed(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// AltID is the meta:altId of a $id: https://ns.adobe.com/xdm/context/profile is _xdm.context.profile.
func AltID(id string) string {
	_, path, ok := strings.Cut(id, "://")
	if !ok {
		return id
	}
	path = strings.TrimPrefix(path, "ns.adobe.com/")
	return "_" + strings.ReplaceAll(path, "/", ".")
}

// words makes a title of a name: firstName is "First name", accountURL is "Account URL".
func words(name string) string {
	name = strings.TrimLeft(name, "_")
	var b strings.Builder
	runes := []rune(name)
	upper := func(i int) bool { return i >= 0 && i < len(runes) && runes[i] >= 'A' && runes[i] <= 'Z' }
	for i, r := range runes {
		switch {
		case r == '-' || r == '_' || r == '.':
			b.WriteByte(' ')
			continue
		case i == 0:
			b.WriteString(strings.ToUpper(string(r)))
			continue
		case upper(i) && !upper(i-1):
			b.WriteByte(' ')
			if !upper(i + 1) {
				r += 'a' - 'A'
			}
		case upper(i) && i+1 < len(runes) && !upper(i+1):
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
