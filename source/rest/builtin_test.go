package rest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/fakesource"
	"weir/specs"
)

// builtinCase is an upstream in the shape of the real one, and what a run over it must give.
type builtinCase struct {
	params  string
	auth    string // auth spec name, then its params
	source  fakesource.Scenario
	handler func() http.Handler // instead of source
	want    int                 // records; source.Records by default
	until   string              // end of the window; two days of 2024 by default
}

type (
	scenario = fakesource.Scenario
	turns    = fakesource.Paging
)

// builtins has a case for every built-in REST spec, by file name.
var builtins = map[string]builtinCase{
	"mailchimp-generic":       {params: `{"server":"us6","listId":"L"}`, source: scenario{Path: "/3.0/lists/L/members", Content: "members", After: `"list_id":"L"`, Paging: turns{Type: "offset", Limit: "count"}}},
	"mailchimp-members":       {params: `{"listId":"L"}`, auth: `OAuth2 Refresh Code {"accessToken":"t","domain":"us6"}`, source: scenario{Path: "/3.0/lists/L/members", Content: "members", After: `"list_id":"L"`, Paging: turns{Type: "offset", Limit: "count"}}},
	"mailchimp-campaign":      {params: `{"campaignId":"C"}`, source: scenario{Path: "/3.0/reports/C/email-activity", Content: "emails", After: `"campaign_id":"C"`, Record: activity, Paging: turns{Type: "offset", Limit: "count"}}, want: 250},
	"mailchimp-campaigns":     {source: scenario{Path: "/3.0/campaigns", Content: "campaigns", Paging: turns{Type: "offset", Limit: "count"}}},
	"zendesk-users":           {source: scenario{Path: "/api/v2/search/export.json", Content: "results", Paging: turns{Type: "token", Limit: "page[size]", Token: "page[after]", Next: "meta.after_cursor", EmptyEvery: 3}}},
	"zendesk-tickets":         {source: scenario{Path: "/api/v2/incremental/tickets/cursor.json", Content: "tickets", Paging: turns{Type: "token", Limit: "per_page", Token: "cursor", Next: "after_cursor", Repeat: true}}},
	"mixpanel":                {params: `{"projectId":"1"}`, source: scenario{Path: "/api/2.0/export", Format: "ndjson"}, want: 2 * 250},
	"onetrust":                {params: `{}`, source: scenario{Path: "/api/consentmanager/v1/datasubjects/profiles", Content: "content", Paging: turns{Type: "page", Limit: "size", Pages: "totalPages"}}},
	"netsuite-activities":     {source: scenario{Path: "/services/rest/query/v1/suiteql", Content: "items", Paging: turns{Type: "offset", HasMore: "hasMore"}}},
	"sugarcrm":                {source: scenario{Path: "/api/2.0/events/", Content: "results", Paging: turns{Type: "pointer"}}},
	"pinterest":               {params: `{"ad_account_id":"1","object_ids":"2,3"}`, source: scenario{Path: "/v5/ad_accounts/1/campaigns/analytics"}, want: 250},
	"sap-commerce-customers":  {source: scenario{Path: "/api/business-partner/v4/customers", Paging: turns{Type: "page", Limit: "pageSize", Page: "pageNumber", First: 1}}},
	"sap-commerce-contacts":   {source: scenario{Path: "/api/contact/v1/contacts", Paging: turns{Type: "page", Limit: "pageSize", Page: "pageNumber", First: 1}}},
	"square":                  {source: scenario{Path: "/v2/payments", Content: "payments", Paging: turns{Type: "token", Next: "cursor"}}},
	"eloqua":                  {source: scenario{Path: "/api/REST/2.0/data/contacts", Content: "elements", Paging: turns{Type: "page", Limit: "count", First: 1, Total: "total"}}},
	"generic-rest":            {params: `{"urlParams":{"path":"/x","method":"GET"},"contentPath":"$","paginationParams":{"type":"OFFSET","limitName":"limit","limitValue":"9","offSetName":"offset"}}`, auth: `No Authentication {}`, source: scenario{Path: "/x", Paging: turns{Type: "offset"}}},
	"stripe":                  {source: scenario{Path: "/v1/customers", Content: "data", Paging: turns{Type: "key", Token: "starting_after", HasMore: "has_more"}}},
	"paypal-transactions":     {auth: `OAuth2 Client Credential {"clientId":"c","clientSecret":"secret","accessTokenUrl":"/token"}`, source: scenario{Path: "/v1/reporting/transactions", Content: "transaction_details", Paging: turns{Type: "page", Limit: "page_size", First: 1, Pages: "total_pages"}}, want: 2 * 250, until: "2022-02-10"},
	"chargebee":               {source: scenario{Path: "/api/v2/customers", Content: "list", Paging: turns{Type: "token", Token: "offset", Next: "next_offset"}}},
	"hubspot":                 {source: scenario{Path: "/crm/v3/objects/contacts", Content: "results", Paging: turns{Type: "token", Token: "after", Next: "paging.next"}}, want: 100},
	"salesforce-soql":         {source: scenario{Path: "/services/data/v61.0/query", Content: "records", Paging: turns{Type: "pointer", Next: "nextRecordsUrl", Relative: true, NextFirst: true}}},
	"pipedrive":               {source: scenario{Path: "/api/v2/deals", Content: "data", Paging: turns{Type: "token", Next: "additional_data.next_cursor"}}},
	"intercom-contacts":       {source: scenario{Path: "/contacts", Content: "data", Paging: turns{Type: "token", Limit: "per_page", Token: "starting_after", Next: "pages"}}, want: 150},
	"freshdesk-tickets":       {source: scenario{Path: "/api/v2/tickets", Paging: turns{Type: "link", Limit: "per_page"}}},
	"servicenow":              {source: scenario{Path: "/api/now/table/incident", Content: "result", Paging: turns{Type: "offset", Limit: "sysparm_limit", Offset: "sysparm_offset", Total: "headers.X-Total-Count"}}},
	"shopify-orders":          {source: scenario{Path: "/admin/api/2025-01/orders.json", Content: "orders", Paging: turns{Type: "link"}}},
	"woocommerce-orders":      {source: scenario{Path: "/wp-json/wc/v3/orders", Paging: turns{Type: "page", Limit: "per_page", First: 1, Pages: "headers.X-WP-TotalPages"}}},
	"bigcommerce-customers":   {source: scenario{Path: "/stores/value-1/v3/customers", Content: "data", Paging: turns{Type: "page", First: 1}}},
	"magento-orders":          {source: scenario{Path: "/rest/V1/orders", Content: "items", Paging: turns{Type: "page", Limit: "searchCriteria[pageSize]", Page: "searchCriteria[currentPage]", First: 1, Total: "total_count"}}},
	"klaviyo-profiles":        {source: scenario{Path: "/api/profiles", Content: "data", Paging: turns{Type: "pointer", Limit: "page[size]", Next: "links"}}, want: 100},
	"activecampaign-contacts": {source: scenario{Path: "/api/3/contacts", Content: "contacts", Paging: turns{Type: "offset"}}},
	"mailgun-events":          {params: `{"domain":"d"}`, handler: mailgun},
	"typeform-responses":      {params: `{"formId":"F"}`, handler: typeform, want: 1500},
	"surveymonkey-responses":  {params: `{"surveyId":"S"}`, source: scenario{Path: "/v3/surveys/S/responses/bulk", Content: "data", Paging: turns{Type: "pointer", Limit: "per_page", Next: "links"}}, want: 100},
	"github":                  {params: `{"owner":"o","repository":"r","stream":"pulls"}`, source: scenario{Path: "/repos/o/r/pulls", Paging: turns{Type: "link", Limit: "per_page"}}},
	"gitlab":                  {params: `{"group":"g"}`, handler: gitlab, want: 12},
	"jira-issues":             {source: scenario{Path: "/rest/api/3/search/jql", Content: "issues", Paging: turns{Type: "token", Limit: "maxResults", Token: "nextPageToken", Next: "nextPageToken"}}},
	"asana-tasks":             {params: `{"workspace":"w"}`, handler: asana, want: 12},
	"clickup-tasks":           {params: `{"listId":"L"}`, source: scenario{Path: "/api/v2/list/L/task", Content: "tasks", Paging: turns{Type: "page"}}},
	"monday-items":            {params: `{"boardId":"B"}`, handler: monday, want: 3},
	"linear-issues":           {source: scenario{Path: "/graphql", Content: "data.issues.nodes", Paging: turns{Type: "none"}}},
	"notion-database":         {params: `{"databaseId":"D"}`, source: scenario{Path: "/v1/databases/D/query", Content: "results", Paging: turns{Type: "token", TokenIn: "body", Token: "start_cursor", Next: "next_cursor", HasMore: "has_more"}}},
	"airtable":                {params: `{"baseId":"B","table":"T/1"}`, source: scenario{Content: "records", Paging: turns{Type: "token", Limit: "pageSize", Token: "offset", Next: "offset"}}},
	"slack-messages":          {params: `{"channel":"C"}`, source: scenario{Path: "/api/conversations.history", Content: "messages", Paging: turns{Type: "token", Next: "response_metadata.next_cursor"}}},
	"twilio-messages":         {auth: `Basic Authentication {"username":"AC1","password":"secret"}`, source: scenario{Path: "/2010-04-01/Accounts/AC1/Messages.json", Content: "messages", Paging: turns{Type: "pointer", Limit: "PageSize", Next: "next_page_uri", Relative: true}}},
	"okta-users":              {source: scenario{Path: "/api/v1/users", Paging: turns{Type: "link"}}},
	"microsoft-graph-users":   {auth: `OAuth2 Client Credential {"clientId":"c","clientSecret":"secret","accessTokenUrl":"/token"}`, source: scenario{Path: "/v1.0/users", Content: "value", Paging: turns{Type: "pointer", Limit: "$top", Next: "@odata"}}, want: 250},
	"amplitude-export":        {handler: amplitude, want: 2 * 2},
	"google-analytics-report": {params: `{"propertyId":"1"}`, source: scenario{Path: "/v1beta/properties/1:runReport", Content: "rows", Paging: turns{Type: "offset", TokenIn: "body", Token: "offset", Size: 10000, Total: "rowCount"}}},
	"usgs-earthquakes":        {source: scenario{Path: "/fdsnws/event/1/query", Content: "features", Paging: turns{Type: "offset", First: 1}}, want: 2 * 250, until: "2024-02-10"},
	"openalex-works":          {params: `{"filter":"x:1"}`, source: scenario{Path: "/works", Content: "results", Paging: turns{Type: "token", Limit: "per-page", Next: "meta.next_cursor"}}},
	"wikipedia-changes":       {source: scenario{Path: "/w/api.php", Content: "query.recentchanges", Paging: turns{Type: "token", Limit: "rclimit", Token: "rccontinue", Next: "continue.rccontinue"}}},
	"gbif-occurrences":        {params: `{"taxonKey":"1","country":"DE"}`, source: scenario{Path: "/v1/occurrence/search", Content: "results", After: `"x":1`, Paging: turns{Type: "offset"}}},
	"ckan-datasets":           {params: `{"host":"https://data.example.org"}`, source: scenario{Path: "/api/3/action/package_search", Content: "result.results", Paging: turns{Type: "offset", Limit: "rows", Offset: "start", Total: "result.count"}}},
	"socrata-rows":            {params: `{"domain":"data.example.org","dataset":"abcd-1234"}`, source: scenario{Path: "/resource/abcd-1234.json", Paging: turns{Type: "offset", Limit: "$limit", Offset: "$offset"}}},
	"us-fiscal-data":          {params: `{"table":"debt_to_penny"}`, source: scenario{Path: "/services/api/fiscal_service/v2/accounting/od/debt_to_penny", Content: "data", Paging: turns{Type: "page", Limit: "page[size]", Page: "page[number]", First: 1, Pages: "meta.total-pages"}}},
	"openfda":                 {params: `{"search":"a:b"}`, source: scenario{Path: "/drug/event.json", Content: "results", Paging: turns{Type: "link"}}},
	"stackexchange-questions": {params: `{"tagged":"go"}`, source: scenario{Path: "/2.3/questions", Content: "items", Gzip: true, Paging: turns{Type: "page", Limit: "pagesize", First: 1, HasMore: "has_more"}}},
	"sendgrid-suppressions":   {source: scenario{Path: "/v3/suppression/bounces", Paging: turns{Type: "offset"}}},
	"iterable-export":         {source: scenario{Path: "/api/export/data.json", Format: "ndjson"}},
	"pagerduty-incidents":     {source: scenario{Path: "/incidents", Content: "incidents", Paging: turns{Type: "offset", HasMore: "more"}}},
	"harvest-time-entries":    {source: scenario{Path: "/v2/time_entries", Content: "time_entries", Paging: turns{Type: "pointer", Limit: "per_page", Next: "links.next"}}},
	"helpscout-conversations": {auth: `OAuth2 Client Credential {"clientId":"c","clientSecret":"secret","accessTokenUrl":"/token"}`, source: scenario{Path: "/v2/conversations", Content: "_embedded.conversations", Paging: turns{Type: "page", Size: 25, First: 1, Pages: "page.totalPages"}}},
	"gocardless-payments":     {source: scenario{Path: "/payments", Content: "payments", Records: 250, Paging: turns{Type: "token", Token: "after", Next: "meta.cursors"}}, want: 250},
	"mollie-payments":         {source: scenario{Path: "/v2/payments", Content: "_embedded.payments", Paging: turns{Type: "pointer", Next: "_links.next"}}},
	"recurly":                 {source: scenario{Path: "/accounts", Content: "data", Paging: turns{Type: "pointer", Relative: true}}},
	"bitbucket-pull-requests": {params: `{"workspace":"w","repository":"r"}`, source: scenario{Path: "/2.0/repositories/w/r/pullrequests", Content: "values", Paging: turns{Type: "pointer", Limit: "pagelen"}}},
	"trello-actions":          {params: `{"boardId":"B"}`, source: scenario{Path: "/1/boards/B/actions"}},
	"brevo-contacts":          {source: scenario{Path: "/v3/contacts", Content: "contacts", Paging: turns{Type: "offset", Total: "count"}}},
	"contentful-entries":      {params: `{"space":"s"}`, source: scenario{Path: "/spaces/s/environments/master/entries", Content: "items", Paging: turns{Type: "offset", Offset: "skip", Total: "total"}}},
	"eventbrite-attendees":    {params: `{"eventId":"1"}`, source: scenario{Path: "/v3/events/1/attendees/", Content: "attendees", Paging: turns{Type: "token", Token: "continuation", Next: "pagination.continuation"}}},
	"calendly-events":         {params: `{"organization":"https://api.example.com/organizations/O"}`, source: scenario{Path: "/scheduled_events", Content: "collection", Paging: turns{Type: "token", Limit: "count", Token: "page_token", Next: "pagination.next_page_token"}}},
	"xero-invoices":           {params: `{"tenantId":"T"}`, source: scenario{Path: "/api.xro/2.0/Invoices", Content: "Invoices", Paging: turns{Type: "page", First: 1}}},
}

func activity(i int) []byte {
	return fmt.Appendf(nil, `{"email_id":"e%d","activity":[{"action":"open"}]}`, i)
}

// TestBuiltins runs every built-in REST spec over an upstream of its shape: all records, once each.
func TestBuiltins(t *testing.T) {
	for _, sp := range specs.Connections() {
		if !strings.Contains(string(sp.Body), `"generic-rest`) {
			continue
		}
		c, ok := builtins[sp.File]
		if !ok {
			t.Errorf("no case for %s", sp.File)
			continue
		}
		t.Run(sp.File, func(t *testing.T) {
			if f := CheckSpec(sp.Body); len(f) > 0 {
				t.Errorf("%v", f)
			}
			run(t, sp, c)
		})
	}
}

func run(t *testing.T, sp specs.Spec, c builtinCase) {
	t.Helper()
	const records = 250
	if c.want == 0 {
		c.want = records
	}
	if c.source.Records = records; c.want == 100 || c.want == 150 {
		c.source.Records = c.want // the fake cannot nest its token as deep: one page
	}
	if c.source.Record == nil {
		c.source.Record = row
	}
	var handler http.Handler = fakesource.New(c.source)
	if c.handler != nil {
		handler = c.handler()
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	b := weir.Binding{Spec: sp.Body, Params: json.RawMessage(c.params), Host: srv.URL}
	if c.params == "" {
		b.Params = json.RawMessage(`{}`)
	}
	parsed, err := parseSpec(sp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b.AuthSpec, b.Auth = parsed.AuthSpec[0].Name, everyParam(parsed.AuthSpec[0])
	if c.auth != "" {
		name, params, _ := strings.Cut(c.auth, " {")
		b.AuthSpec, b.Auth = name, json.RawMessage("{"+params)
	}
	if f := append(CheckAuth(b.Spec, b.AuthSpec, b.Auth), CheckParams(b)...); len(f) > 0 {
		t.Errorf("%v", f)
	}
	if c.until == "" {
		c.until = "2024-01-03"
	}
	end, err := time.Parse(time.DateOnly, c.until)
	if err != nil {
		t.Fatal(err)
	}
	w := weir.Window{End: end}
	if strings.Contains(string(sp.Body), `"filter": true`) {
		w.End = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	s := open(t, b, func(o *Options) { o.Limits.Header = time.Minute })
	got, _, err := collect(t, s, w, nil)
	if err != nil || len(got) != c.want {
		t.Errorf("%d records, want %d: %v", len(got), c.want, err)
	}
	if c.handler == nil {
		sameRecords(t, s.Shape().Wrapper, got, &c.source)
	}
}

func row(i int) []byte {
	return fmt.Appendf(nil, `{"id":%d,"text":"row %d é"}`, i, i)
}

// sameRecords checks the records one by one: the upstream's in its order, again for each slice of the window.
func sameRecords(t *testing.T, wrapper string, got []string, source *scenario) {
	t.Helper()
	for i, text := range got {
		want := string(source.Record(i % source.Records))
		if strings.Contains(want, `"activity":[`) { // exploded
			want = strings.NewReplacer("[", "", "]", "").Replace(want)
		}
		if wrapper != "" {
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			text = string(m[wrapper])
		}
		if text != want {
			t.Fatalf("record %d is %s, want %s", i, text, want)
		}
	}
}

// everyParam fills the required parameters of an auth spec.
func everyParam(a authSpec) json.RawMessage {
	m := map[string]string{}
	for _, p := range a.properties() {
		switch p.name {
		case "authorizationTestUrl", "expirationDate", "refreshToken", "requestParameterOverride", "accessTokenUrl":
		default:
			m[p.name] = "value-1"
		}
	}
	if looseName(a.Type) == "oauth2clientcredential" {
		m["accessTokenUrl"] = "/token"
	}
	raw, _ := json.Marshal(m)
	return raw
}

func answerJSON(w http.ResponseWriter, format string, args ...any) { fmt.Fprintf(w, format, args...) }

func ids(from, to int) string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf(`{"id":%d,"token":"t%d"}`, i, i))
	}
	return strings.Join(out, ",")
}

// mailgun always offers a next page.
func mailgun() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, _ := strconv.Atoi(r.FormValue("at"))
		end := min(at+100, 250)
		answerJSON(w, `{"items":[%s],"paging":{"next":"http://%s%s?at=%d","first":"x"}}`, ids(at, end), r.Host, r.URL.Path, end)
	})
}

// typeform goes back from a token.
func typeform() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := 1500
		if b := r.FormValue("before"); b != "" {
			before, _ = strconv.Atoi(b[1:])
		}
		var out []string
		for i := before - 1; i >= max(before-1000, 0); i-- {
			out = append(out, ids(i, i+1))
		}
		answerJSON(w, `{"total_items":1500,"items":[%s]}`, strings.Join(out, ","))
	})
}

// gitlab has three projects, one of them closed to us.
func gitlab() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v4/groups/g/projects":
			answerJSON(w, `[{"id":1,"path_with_namespace":"g/a"},{"id":2},{"id":3}]`)
		case "/api/v4/projects/2/issues":
			http.Error(w, "no", http.StatusForbidden)
		default:
			answerJSON(w, `[%s]`, ids(0, 6))
		}
	})
}

// asana has two projects whose tasks come in two pages.
func asana() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/1.0/projects" {
			answerJSON(w, `{"data":[{"gid":"1","name":"a"},{"gid":"2","name":"b"}],"next_page":null}`)
			return
		}
		if r.FormValue("offset") == "" {
			answerJSON(w, `{"data":[%s],"next_page":{"offset":"o1","path":"/x"}}`, ids(0, 4))
			return
		}
		answerJSON(w, `{"data":[%s],"next_page":null}`, ids(4, 6))
	})
}

func monday() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"cursor":"c1"`) {
			answerJSON(w, `{"data":{"boards":[{"items_page":{"cursor":"c1","items":[%s]}}]},"account_id":1}`, ids(0, 2))
			return
		}
		answerJSON(w, `{"data":{"boards":[{"items_page":{"cursor":null,"items":[%s]}}]}}`, ids(2, 3))
	})
}

// amplitude packs lines into files and files into an archive; an hour without events is a 404.
func amplitude() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range []string{"a.json.gz", "b.json.gz"} {
			f, _ := z.Create("1/" + name)
			g := gzip.NewWriter(f)
			_, _ = io.WriteString(g, `{"event_type":"x"}`+"\n")
			_ = g.Close()
		}
		_ = z.Close()
		_, _ = w.Write(b.Bytes())
	})
}
