// Package author is the workbench of people who write connection specs: it checks a spec, tries it against its source,
// proves it against an upstream made from it, documents it, and imports specs from other forms.
package author
