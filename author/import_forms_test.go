package author

import (
	"strings"
	"testing"
)

// formCase is one text to import: parts of the spec (as compact JSON), of the losses, and what must not be in the spec.
type formCase struct {
	name, in string
	spec     []string
	losses   []string
	not      []string
	err      string
}

func runForms(t *testing.T, read func([]byte) (*Import, error), cases []formCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := read([]byte(c.in))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			doc, err := parseJSON(got.Spec)
			if err != nil {
				t.Fatal(err)
			}
			spec := string(mustJSON(doc.plain()))
			for _, part := range c.spec {
				if !strings.Contains(spec, part) {
					t.Errorf("the spec lacks %s\n%s", part, spec)
				}
			}
			for _, part := range c.not {
				if strings.Contains(spec, part) {
					t.Errorf("the spec has %s\n%s", part, spec)
				}
			}
			var all []string
			for _, l := range got.Losses {
				all = append(all, l.String())
			}
			text := strings.Join(all, "\n")
			for _, part := range c.losses {
				if !strings.Contains(text, part) {
					t.Errorf("the losses lack %q\n%s", part, text)
				}
			}
			if len(c.losses) == 0 && len(all) > 0 {
				t.Errorf("losses: %s", text)
			}
			for _, f := range Check(got.Spec) {
				if !f.Warning {
					t.Errorf("%s: %s", f.Pointer, f.Message)
				}
			}
		})
	}
}

const assumed = "contentPath: a command does not tell where the records are"

func TestImportCurl(t *testing.T) {
	runForms(t, ImportCurl, []formCase{
		{"no credentials", `curl https://a.example/items`, []string{`"host":"https://a.example","path":"/items","method":"GET"`, `"type":"NoAuth"`}, []string{assumed, "no paging was found"}, nil, ""},
		{"bearer", `curl -H 'Authorization: Bearer s3cret' https://a.example/x`, []string{`"type":"BearerToken"`}, []string{assumed}, []string{"s3cret"}, ""},
		{"basic by -u", `curl -u ann:s3cret https://a.example/x`, []string{`"type":"BasicAuthentication"`}, []string{assumed}, []string{"s3cret", "ann"}, ""},
		{"basic header", `curl -H "Authorization: Basic YW5uOnMzY3JldA==" https://a.example/x`, []string{`"type":"BasicAuthentication"`}, []string{assumed}, []string{"YW5u"}, ""},
		{
			"key in a header, and another one", `curl -H 'X-Api-Key: s3cret' -H 'X-App-Token: t0ken' -H 'Accept: application/json' https://a.example/x`,
			[]string{`"authKey1":{"type":"string","format":"password","restAttributes":{"headerParamName":"X-Api-Key"}}`, `"authKey2":{"type":"string","format":"password","restAttributes":{"headerParamName":"X-App-Token"}}`, `"Accept":"application/json"`},
			[]string{assumed},
			[]string{"s3cret", "t0ken"},
			"",
		},
		{"another scheme", `curl -H 'Authorization: Token s3cret' https://a.example/x`, []string{`"headerParamName":"Authorization","prefix":"Token "`}, []string{assumed}, []string{"s3cret"}, ""},
		{"key in the query", `curl 'https://a.example/x?api_key=s3cret&kind=b'`, []string{`"queryParamName":"api_key"`, `"queryParams":{"kind":"b"}`}, []string{assumed}, []string{"s3cret"}, ""},
		{"cookie", `curl -b sid=s3cret https://a.example/x`, []string{`"cookieParamName":"sid"`}, []string{assumed}, []string{"s3cret"}, ""},
		{"offset", `curl 'https://a.example/x?offset=0&limit=50&sort=id'`, []string{`"type":"OFFSET","limitName":"limit","limitValue":"50","offSetName":"offset"`, `"queryParams":{"sort":"id"}`}, []string{assumed, "taken for OFFSET"}, nil, ""},
		{"pages", `curl -G https://a.example/x -d page=1 -d per_page=20 --data-urlencode 'q=a & b=100%'`, []string{`"type":"PAGE","limitName":"per_page","limitValue":"20","pageParamName":"page","initialPageIndex":"1"`, `"q":"a & b=100%"`}, []string{assumed, "taken for PAGE"}, nil, ""},
		{"cursor", `curl 'https://a.example/x?page_token=abc&n=1'`, []string{`"queryParams":{"n":"1"}`}, []string{"the parameter page_token looks like a cursor"}, nil, ""},
		{"JSON body", `curl --json '{"a":[1,{"b":"c"}]}' https://a.example/x`, []string{`"method":"POST"`, `"bodyParams":{"a":[1,{"b":"c"}]}`}, []string{assumed}, nil, ""},
		{"JSON body of a PUT", `curl -X PUT -H 'Content-Type: application/json' -d '{"a":1}' https://a.example/x`, []string{`"body":{"kind":"json","value":{"a":1}}`}, []string{assumed}, nil, ""},
		{"form", `curl -d a=1 -d 'b=x y' https://a.example/x`, []string{`"kind":"form","form":{"a":"1","b":"x y"}`}, []string{assumed}, nil, ""},
		{"text body", `curl -H 'Content-Type: application/sql' --data-binary 'select 1' https://a.example/x`, []string{`"kind":"text","text":"select 1","type":"application/sql"`}, []string{assumed}, nil, ""},
		{"lines, quotes, comments", "curl \\\n  -H \"X-A: it's\" \\\n  $'https://a.example/x' # the end", []string{`"X-A":"it's"`}, []string{assumed}, nil, ""},
		{"options that matter and are not known", `curl --cert c.pem -F file=@a https://a.example/x https://b.example/y`, nil, []string{"--cert: the option is not carried over", "file uploads", "only the first address"}, nil, ""},
		{"a body in a file", `curl -d @body.json https://a.example/x`, nil, []string{"the body is in a file"}, nil, ""},
		{"not curl", `wget https://a.example`, nil, nil, nil, "not a curl command"},
		{"no address", `curl -s`, nil, nil, nil, "no address"},
		{"open quote", `curl 'x`, nil, nil, nil, "quote does not end"},
	})
}

// openapiDoc is a document with one operation.
func openapiDoc(servers, parameters, answer, more string) string {
	return `{"openapi":"3.0.3","info":{"title":"T"},"servers":` + servers + `,"paths":{"/items/{kind}":{"get":{"operationId":"list","parameters":[{"name":"kind","in":"path","required":true,"schema":{"type":"string","enum":["a","b"]}}` + parameters + `],"responses":{"200":{` + answer + `}}}}}` + more + `}`
}

func TestImportOpenAPI(t *testing.T) {
	const server, items = `[{"url":"https://a.example/v1"}]`, `"content":{"application/json":{"schema":{"type":"object","properties":{"errors":{"type":"array","items":{}},"data":{"type":"array","items":{"type":"object"}}}}}}`
	scheme := func(s string) string { return `,"components":{"securitySchemes":{"s":` + s + `}}` }
	runForms(t, func(b []byte) (*Import, error) { return ImportOpenAPI(b, OpenAPIOptions{}) }, []formCase{
		{"path parameter", openapiDoc(server, "", items, ""), []string{`"host":"https://a.example","path":"/v1/items/${kind}"`, `"kind":{"type":"string","enum":["a","b"]}`, `"contentPath":"$.data"`, `"required":["kind"]`}, []string{"no paging was found"}, nil, ""},
		{
			"server variables", openapiDoc(`[{"url":"https://{region}.a.example","variables":{"region":{"default":"eu","enum":["eu","us"],"description":"Where."}}},{"url":"https://b.example"}]`, "", items, ""),
			[]string{`"host":"https://${region}.a.example"`, `"region":{"type":"string","description":"Where.","default":"eu","enum":["eu","us"]}`},
			[]string{"only the first server"},
			nil, "",
		},
		{"no server", openapiDoc(`[]`, "", items, ""), []string{`"https://api.example.com"`}, []string{"names no server"}, nil, ""},
		{"a server without a host", openapiDoc(`[{"url":"/api"}]`, "", items, ""), []string{`"path":"/api/items/${kind}"`}, []string{"has no host"}, nil, ""},
		{"offset and limit", openapiDoc(server, `,{"name":"offset","in":"query","schema":{"type":"integer"}},{"name":"limit","in":"query","schema":{"type":"integer","maximum":200}}`, items, ""), []string{`"type":"OFFSET","limitName":"limit","limitValue":"200","offSetName":"offset"`}, nil, nil, ""},
		{"pages", openapiDoc(server, `,{"name":"page","in":"query","schema":{"type":"integer","default":1}},{"name":"per_page","in":"query","schema":{"type":"integer"}}`, items, ""), []string{`"type":"PAGE"`, `"initialPageIndex":"1"`}, []string{"its largest value is not told"}, nil, ""},
		{
			"cursor", openapiDoc(server, `,{"name":"cursor","in":"query","schema":{"type":"string"}},{"name":"limit","in":"query","schema":{"type":"integer","default":10}}`,
				`"content":{"application/json":{"schema":{"type":"object","properties":{"items":{"type":"array","items":{}},"next_cursor":{"type":"string"}}}}}`, ""), []string{`"type":"CONTINUATION_TOKEN","continuationTokenPath":"$.next_cursor","parameterType":"QUERYPARAM","parameterName":"cursor"`}, nil, nil, "",
		},
		{"cursor without a place", openapiDoc(server, `,{"name":"cursor","in":"query","schema":{"type":"string"}}`, items, ""), nil, []string{"the parameter cursor looks like a cursor"}, nil, ""},
		{"link in the answer", openapiDoc(server, "", `"content":{"application/json":{"schema":{"type":"object","properties":{"rows":{"type":"array","items":{}},"links":{"type":"object","properties":{"next":{"type":"string","format":"uri"}}}}}}}`, ""), []string{`"type":"POINTER","pointerPath":"$.links.next"`}, nil, nil, ""},
		{"Link header", openapiDoc(server, "", `"headers":{"Link":{"schema":{"type":"string"}}},`+items, ""), []string{`"paging":{"type":"LINK"}`}, nil, nil, ""},
		{"required and optional parameters", openapiDoc(server, `,{"name":"X-Org","in":"header","required":true,"schema":{"type":"string"}},{"name":"q","in":"query","required":true,"schema":{"type":"string"}},{"name":"opt","in":"query","schema":{"type":"string"}}`, items, ""), []string{`"queryParams":{"q":"${q}"}`, `"headerParams":{"X-Org":"${X_Org}"}`}, []string{"parameter opt of GET /items/{kind}: it is optional"}, nil, ""},
		{"key in a header", openapiDoc(server, "", items, scheme(`{"type":"apiKey","in":"header","name":"X-Key"}`)), []string{`"headerParamName":"X-Key"`}, []string{"no paging"}, nil, ""},
		{"key in a cookie", openapiDoc(server, "", items, scheme(`{"type":"apiKey","in":"cookie","name":"sid"}`)), []string{`"cookieParamName":"sid"`}, []string{"no paging"}, nil, ""},
		{"bearer and basic", openapiDoc(server, "", items, `,"components":{"securitySchemes":{"b":{"type":"http","scheme":"Bearer"},"p":{"type":"http","scheme":"basic"}}}`), []string{`"type":"BearerToken"`, `"type":"BasicAuthentication"`}, []string{"no paging"}, nil, ""},
		{"client credentials", openapiDoc(server, "", items, scheme(`{"type":"oauth2","flows":{"clientCredentials":{"tokenUrl":"https://l.example/t","scopes":{"read":""}}}}`)), []string{`"type":"OAuth2ClientCredential"`, `"default":"https://l.example/t"`}, []string{"no paging"}, nil, ""},
		{"consent", openapiDoc(server, "", items, scheme(`{"type":"oauth2","flows":{"authorizationCode":{"authorizationUrl":"https://l.example/a","tokenUrl":"https://l.example/t","scopes":{"read":"","list":""}}}}`)), []string{`"type":"OAuth2RefreshCode"`, `"consent":{"authorizeUrl":"https://l.example/a","scope":"read list"}`}, []string{"no paging"}, nil, ""},
		{"a scheme we do not have", openapiDoc(server, "", items, scheme(`{"type":"mutualTLS"}`)), nil, []string{"security scheme s: mutualTLS is not carried over"}, nil, ""},
		{"not an array", openapiDoc(server, "", `"content":{"application/json":{"schema":{"type":"object"}}}`, ""), nil, nil, nil, "no operation answers with an array"},
		{"version 2", `{"swagger":"2.0"}`, nil, nil, nil, "not OpenAPI 3"},
	})
}

func postmanDoc(request, more string) string {
	return `{"info":{"name":"T"},"item":[{"name":"List","request":` + request + `,"response":[{"body":"{\"items\":[{\"id\":1}]}"}]}]` + more + `}`
}

func TestImportPostman(t *testing.T) {
	const url = `"url":{"raw":"https://a.example/items","query":[]}`
	runForms(t, ImportPostman, []formCase{
		{"plain", postmanDoc(`{"method":"GET",`+url+`}`, ""), []string{`"path":"/items"`, `"contentPath":"$.items"`}, []string{"no paging was found"}, nil, ""},
		{
			"variables", postmanDoc(`{"method":"GET","url":{"raw":"{{base}}/:kind/items?tag={{tag}}","query":[{"key":"tag","value":"{{tag}}"},{"key":"x","value":"1","disabled":true}],"variable":[{"key":"kind","value":"b"}]}}`, `,"variable":[{"key":"base","value":"https://a.example/v2"},{"key":"tag","value":""}]`),
			[]string{`"host":"https://a.example","path":"/v2/${kind}/items"`, `"queryParams":{"tag":"${tag}"}`, `"kind":{"type":"string","default":"b"}`, `"required":["tag"]`},
			[]string{"query parameter x: it is disabled"},
			nil, "",
		},
		{"bearer of the collection", postmanDoc(`{"method":"GET",`+url+`}`, `,"auth":{"type":"bearer","bearer":[{"key":"token","value":"s3cret"}]}`), []string{`"type":"BearerToken"`}, []string{"no paging"}, []string{"s3cret"}, ""},
		{"basic", postmanDoc(`{"method":"GET",`+url+`,"auth":{"type":"basic","basic":[{"key":"password","value":"s3cret"}]}}`, ""), []string{`"type":"BasicAuthentication"`}, []string{"no paging"}, []string{"s3cret"}, ""},
		{"key in the query", postmanDoc(`{"method":"GET",`+url+`,"auth":{"type":"apikey","apikey":[{"key":"key","value":"k"},{"key":"value","value":"s3cret"},{"key":"in","value":"query"}]}}`, ""), []string{`"queryParamName":"k"`}, []string{"no paging"}, []string{"s3cret"}, ""},
		{"client credentials", postmanDoc(`{"method":"GET",`+url+`,"auth":{"type":"oauth2","oauth2":[{"key":"grant_type","value":"client_credentials"},{"key":"accessTokenUrl","value":"https://l.example/t"}]}}`, ""), []string{`"type":"OAuth2ClientCredential"`, `"default":"https://l.example/t"`}, []string{"no paging"}, nil, ""},
		{"a kind of credentials we do not have", postmanDoc(`{"method":"GET",`+url+`,"auth":{"type":"ntlm"}}`, ""), nil, []string{"auth ntlm: this kind of credentials is not carried over"}, nil, ""},
		{"header with a key", postmanDoc(`{"method":"GET",`+url+`,"header":[{"key":"X-Api-Key","value":"s3cret"},{"key":"X-Plain","value":"p"},{"key":"X-Off","value":"o","disabled":true}]}`, ""), []string{`"headerParamName":"X-Api-Key"`, `"X-Plain":"p"`}, []string{"no paging"}, []string{"s3cret", "X-Off"}, ""},
		{"JSON body", postmanDoc(`{"method":"POST",`+url+`,"body":{"mode":"raw","raw":"{\"q\":\"{{what}}\"}"}}`, ""), []string{`"bodyParams":{"q":"${what}"}`}, []string{"no paging"}, nil, ""},
		{"form body", postmanDoc(`{"method":"POST",`+url+`,"body":{"mode":"urlencoded","urlencoded":[{"key":"a","value":"1"},{"key":"b","value":"2","disabled":true}]}}`, ""), []string{`"kind":"form","form":{"a":"1"}`}, []string{"no paging"}, nil, ""},
		{"GraphQL", postmanDoc(`{"method":"POST",`+url+`,"body":{"mode":"graphql","graphql":{"query":"{ a { id } }","variables":"{\"n\":1}"}}}`, ""), []string{`"kind":"graphql","query":"{ a { id } }","variables":{"n":1}`}, []string{"no paging"}, nil, ""},
		{"body in a file", postmanDoc(`{"method":"POST",`+url+`,"body":{"mode":"file"}}`, ""), nil, []string{"body file: this kind of body is not carried over"}, nil, ""},
		{
			"scripts, writes, folders", `{"info":{"name":"T"},"event":[{"listen":"prerequest","script":{"exec":["pm.x()"]}}],"item":[{"name":"F","item":[{"name":"A","request":{"method":"GET","url":"https://a.example/a"}},{"name":"B","request":{"method":"GET","url":"https://a.example/b?page=1"}}]},{"name":"D","request":{"method":"DELETE","url":"https://a.example/a"}}]}`,
			[]string{`"f_a":`, `"f_b":`, `"type":"PAGE"`, `"stream"`},
			[]string{"prerequest script: scripts are not carried over", "DELETE does not read records", "no saved example"},
			nil, "",
		},
		{"nothing to read", `{"item":[]}`, nil, nil, nil, "no request that reads"},
		{"another document", `{"a":1}`, nil, nil, nil, "not a Postman collection"},
	})
}
