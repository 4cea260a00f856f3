// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package waf

import (
	"fmt"
	"io"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
)

// engineKey is what makes one loaded rule set another one.
type engineKey struct {
	detect, partial     bool
	paranoia, threshold int
	limit               int64
	// exclusions are directives.
	exclusions string
}

// engine is a loaded rule set. It is safe for concurrent use.
type engine struct{ waf coraza.WAF }

func newEngine(k engineKey) (*engine, error) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(k.directives()))
	if err != nil {
		return nil, fmt.Errorf("loading the rule set: %w", err)
	}
	return &engine{waf}, nil
}

func (e *engine) begin() types.Transaction { return e.waf.NewTransaction() }

// Close lets go of what the engine shares with others of its kind.
func (e *engine) Close() {
	if c, ok := e.waf.(io.Closer); ok {
		_ = c.Close() // nobody is left who could do something about an error
	}
}

// base prepares the engine. Bodies are cut by us, so the limit of the engine never
// decides; they stay in memory and never go to a file. What a request is for is the
// business of the route: its methods, and the content types that its backend takes.
// Content-Encoding is no restricted header, since packed bodies are unpacked here,
// and neither are those of WebDAV and of ranges.
const base = `
SecRuleEngine %[1]s
SecRequestBodyAccess On
SecRequestBodyLimit %[2]d
SecRequestBodyInMemoryLimit %[2]d
SecRequestBodyLimitAction ProcessPartial
SecRequestBodyJsonDepthLimit 512
SecResponseBodyAccess Off
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^(?:application|text)/(?:[a-z0-9.-]+\+)?xml" "id:200000,phase:1,pass,t:none,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^(?:application|text)/(?:[a-z0-9.-]+\+)?json" "id:200001,phase:1,pass,t:none,nolog,ctl:requestBodyProcessor=JSON"
SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%[3]d,setvar:tx.detection_paranoia_level=%[3]d"
SecAction "id:900110,phase:1,pass,t:none,nolog,setvar:tx.inbound_anomaly_score_threshold=%[4]d"
SecAction "id:900200,phase:1,pass,t:none,nolog,setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH REPORT SEARCH UNLOCK'"
SecAction "id:900250,phase:1,pass,t:none,nolog,setvar:'tx.restricted_headers_basic=/proxy/ /x-http-method-override/ /x-http-method/ /x-method-override/ /x-middleware-subrequest/'"
SecAction "id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=4000"
`

// malformed refuses bodies that are not what they say: what cannot be read here may
// be read by the backend. A body that was cut short is never whole.
const malformed = `
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,deny,t:none,log,status:400,msg:'Failed to parse request body'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,deny,t:none,log,status:400,msg:'Multipart request body failed strict validation'"
`

// anyContentType takes out the rule that admits a list of content types only.
const anyContentType = "SecRuleRemoveById 920420\n"

// files are the parts of the rule set that look at requests.
var files = []string{
	"REQUEST-901-INITIALIZATION", "REQUEST-905-COMMON-EXCEPTIONS", "REQUEST-911-METHOD-ENFORCEMENT", "REQUEST-913-SCANNER-DETECTION",
	"REQUEST-920-PROTOCOL-ENFORCEMENT", "REQUEST-921-PROTOCOL-ATTACK", "REQUEST-922-MULTIPART-ATTACK", "REQUEST-930-APPLICATION-ATTACK-LFI",
	"REQUEST-931-APPLICATION-ATTACK-RFI", "REQUEST-932-APPLICATION-ATTACK-RCE", "REQUEST-933-APPLICATION-ATTACK-PHP",
	"REQUEST-934-APPLICATION-ATTACK-GENERIC", "REQUEST-941-APPLICATION-ATTACK-XSS", "REQUEST-942-APPLICATION-ATTACK-SQLI",
	"REQUEST-943-APPLICATION-ATTACK-SESSION-FIXATION", "REQUEST-944-APPLICATION-ATTACK-JAVA", "REQUEST-949-BLOCKING-EVALUATION",
}

func (k engineKey) directives() string {
	mode := "On"
	if k.detect {
		mode = "DetectionOnly"
	}
	var out strings.Builder
	fmt.Fprintf(&out, base, mode, k.limit, k.paranoia, k.threshold)
	if !k.partial {
		out.WriteString(malformed)
	}
	out.WriteString(k.exclusions)
	for _, name := range files {
		fmt.Fprintf(&out, "Include @owasp_crs/%s.conf\n", name)
	}
	out.WriteString(anyContentType)
	return out.String()
}
