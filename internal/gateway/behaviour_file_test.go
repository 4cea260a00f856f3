// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// fileTrials show what each setting of the main file does: a gateway without it, and
// one with it. The text holds settings of gateway, and behind a line --- others. $DIR
// is a directory of its own, with a route /extra in $DIR/extra and an empty $DIR/none.
var fileTrials = map[string]trial{
	"gateway.tls.certsDir":             {`tls: {certsDir: $DIR/none}`, `tls: {certsDir: $DIR/certs}`, certificate, [2]string{selfMade, "one"}, ""},
	"gateway.tls.certificates[0].cert": {`tls: {certificates: [{cert: $ONE, key: $KEY}]}`, `tls: {certificates: [{cert: $TWO, key: $KEY}]}`, certificate, [2]string{"one", "two"}, ""},
	"gateway.tls.certificates[0].key":  {`tls: {certificates: [{cert: $ONE, key: $WRONG}]}`, `tls: {certificates: [{cert: $ONE, key: $KEY}]}`, certificate, [2]string{selfMade, "one"}, ""},
	"gateway.tls.default.cert":         {`tls: {default: {cert: $ONE, key: $KEY}}`, `tls: {default: {cert: $TWO, key: $KEY}}`, certificate, [2]string{"one", "two"}, ""},
	"gateway.tls.default.key":          {`tls: {default: {cert: $ONE, key: $WRONG}}`, `tls: {default: {cert: $ONE, key: $KEY}}`, certificate, [2]string{selfMade, "one"}, ""},

	"gateway.redis.addr":           {limited(`username: ""`), limited(`addr: $REDIS`), spoken("evalsha"), [2]string{"false", "true"}, ""},
	"gateway.redis.username":       {limited(`addr: $REDIS, password: secret`), limited(`addr: $REDIS, password: secret, username: ann`), spoken("auth ann"), [2]string{"false", "true"}, ""},
	"gateway.redis.password":       {limited(`addr: $REDIS`), limited(`addr: $REDIS, password: secret`), spoken("auth secret"), [2]string{"false", "true"}, ""},
	"gateway.redis.keyPrefix":      {limited(`addr: $REDIS`), limited(`addr: $REDIS, keyPrefix: "mine:"`), spoken(" mine:"), [2]string{"false", "true"}, ""},
	"gateway.redis.db":             {limited(`addr: $REDIS`), limited(`addr: $REDIS, db: 7`), spoken("select 7"), [2]string{"false", "true"}, ""},
	"gateway.redis.flushOnStartup": {limited(`addr: $REDIS`), limited(`addr: $REDIS, flushOnStartup: true`), spoken("scan"), [2]string{"false", "true"}, ""},
	"gateway.redis.tls.clientCa":   {limited(`addr: $SREDIS, tls: {clientCa: $ONE, clientCert: $ONE, clientKey: $KEY}`), limited(`addr: $SREDIS, tls: {clientCa: $CA, clientCert: $ONE, clientKey: $KEY}`), spoken("certificate one"), [2]string{"false", "true"}, ""},
	"gateway.redis.tls.clientCert": {limited(`addr: $SREDIS, tls: {clientCa: $CA, clientCert: $ONE, clientKey: $KEY}`), limited(`addr: $SREDIS, tls: {clientCa: $CA, clientCert: $TWO, clientKey: $KEY}`), spoken("certificate two"), [2]string{"false", "true"}, ""},

	"gateway.timeouts.idle": {`timeouts: {idle: 3600}`, `timeouts: {idle: 1}`, cut("GET /home HTTP/1.1\r\nHost: h.example\r\n\r\n"), [2]string{"open", "cut"}, ""},
	"gateway.timeouts.read": {
		`timeouts: {read: 3600}`, `timeouts: {read: 1}`, cut("POST /hold HTTP/1.1\r\nHost: h.example\r\nContent-Length: 9\r\n\r\n"), [2]string{"open", "cut"}, "",
	},

	"gateway.timeouts.write": {`timeouts: {write: 3600}`, `timeouts: {write: 1}`, untaken, [2]string{"false", "true"}, ""},

	"gateway.entryPoints.web.address":       {`entryPoints: {web: {address: "127.0.0.1:0"}}`, `entryPoints: {web: {address: "127.0.0.2:0"}}`, bound("web"), [2]string{"127.0.0.1", "127.0.0.2"}, ""},
	"gateway.entryPoints.webSecure.address": {`entryPoints: {webSecure: {address: "127.0.0.1:0"}}`, `entryPoints: {webSecure: {address: "127.0.0.3:0"}}`, bound("webSecure"), [2]string{"127.0.0.1", "127.0.0.3"}, ""},
	"gateway.entryPoints.admin.address":     {`entryPoints: {admin: {address: "127.0.0.1:0"}}`, `entryPoints: {admin: {address: "127.0.0.4:0"}}`, bound("admin"), [2]string{"127.0.0.1", "127.0.0.4"}, ""},

	"gateway.providers.file.enabled":   {`providers: {file: {enabled: false, directory: $DIR/extra}}`, `providers: {file: {enabled: true, directory: $DIR/extra}}`, status("GET", "/extra"), [2]string{"404", "200"}, ""},
	"gateway.providers.file.directory": {`providers: {file: {enabled: true, directory: $DIR/none}}`, `providers: {file: {enabled: true, directory: $DIR/extra}}`, status("GET", "/extra"), [2]string{"404", "200"}, ""},
	"gateway.providers.file.watch":     {`providers: {file: {enabled: true, directory: $DIR/none}}`, `providers: {file: {enabled: true, directory: $DIR/none, watch: true}}`, appears, [2]string{"404", "200"}, ""},
	"gateway.extraConfig.directory":    {`extraConfig: {directory: $DIR/none}`, `extraConfig: {directory: $DIR/extra}`, status("GET", "/extra"), [2]string{"404", "200"}, ""},
	"gateway.extraConfig.watch":        {`extraConfig: {directory: $DIR/none}`, `extraConfig: {directory: $DIR/none, watch: true}`, appears, [2]string{"404", "200"}, ""},

	"gateway.providers.http.enabled":                {served(`enabled: false, endpoint: $HTTP/bundle`), served(`enabled: true, endpoint: $HTTP/bundle`), until(status("GET", "/extra")), [2]string{"404", "200"}, ""},
	"gateway.providers.http.endpoint":               {served(`enabled: true, endpoint: $HTTP/none`), served(`enabled: true, endpoint: $HTTP/bundle`), until(status("GET", "/extra")), [2]string{"503", "200"}, ""},
	"gateway.providers.http.interval":               {served(`enabled: true, endpoint: $HTTP/bundle, interval: 1h`), served(`enabled: true, endpoint: $HTTP/bundle, interval: 10ms`), asked("/bundle", 3), [2]string{"false", "true"}, ""},
	"gateway.providers.http.timeout":                {served(`enabled: true, endpoint: "$HTTP/hold?for=5s", retryAttempts: 1`), served(`enabled: true, endpoint: "$HTTP/hold?for=5s", retryAttempts: 1, timeout: 20ms`), logged("no answer in time"), [2]string{"false", "true"}, ""},
	"gateway.providers.http.retryAttempts":          {served(`enabled: true, endpoint: $HTTP/none, retryDelay: 1ms, retryAttempts: 1`), served(`enabled: true, endpoint: $HTTP/none, retryDelay: 1ms, retryAttempts: 9`), asked("/none", 9), [2]string{"false", "true"}, ""},
	"gateway.providers.http.retryDelay":             {served(`enabled: true, endpoint: $HTTP/none, retryAttempts: 9, retryDelay: 1h`), served(`enabled: true, endpoint: $HTTP/none, retryAttempts: 9, retryDelay: 1ms`), asked("/none", 9), [2]string{"false", "true"}, ""},
	"gateway.providers.http.cacheDir":               {served(`enabled: true, endpoint: $HTTP/bundle`), `providers: {http: {enabled: true, endpoint: $HTTP/bundle, cacheDir: $DIR/kept.json}}`, kept, [2]string{"false", "true"}, ""},
	"gateway.providers.http.tls.insecureSkipVerify": {served(`enabled: true, endpoint: $HTTPS/bundle`), served(`enabled: true, endpoint: $HTTPS/bundle, tls: {insecureSkipVerify: true}`), until(status("GET", "/extra")), [2]string{"503", "200"}, ""},
	"gateway.providers.git.tls.insecureSkipVerify":  {cloned(`url: $HTTPS/repository`), cloned(`url: $HTTPS/repository, tls: {insecureSkipVerify: true}`), asked("/repository/info/refs", 1), [2]string{"false", "true"}, ""},
	"gateway.providers.git.tls.rootCAs":             {cloned(`url: $HTTPS/repository`), cloned(`url: $HTTPS/repository, tls: {rootCAs: $CA}`), asked("/repository/info/refs", 1), [2]string{"false", "true"}, ""},
	"gateway.providers.git.tls.clientCert":          {cloned(`url: $HTTPS/repository, tls: {rootCAs: $CA, clientCert: $ONE, clientKey: $KEY}`), cloned(`url: $HTTPS/repository, tls: {rootCAs: $CA, clientCert: $TWO, clientKey: $KEY}`), asked("/repository/info/refs two", 1), [2]string{"false", "true"}, ""},
	"gateway.providers.git.tls.clientKey":           {cloned(`url: $HTTPS/repository, tls: {rootCAs: $CA, clientCert: $ONE, clientKey: $WRONG}`), cloned(`url: $HTTPS/repository, tls: {rootCAs: $CA, clientCert: $ONE, clientKey: $KEY}`), asked("/repository/info/refs one", 1), [2]string{"false", "true"}, ""},
	"gateway.providers.git.enabled":                 {`providers: {git: {enabled: false, url: $HTTP/repository, cloneDir: $DIR/clone}}`, `providers: {git: {enabled: true, url: $HTTP/repository, cloneDir: $DIR/clone}}`, asked("/repository/info/refs", 1), [2]string{"false", "true"}, ""},
	"gateway.providers.git.url":                     {cloned(`url: $HTTP/other`), cloned(`url: $HTTP/repository`), asked("/repository/info/refs", 1), [2]string{"false", "true"}, ""},

	"gateway.monitoring.enableMetrics":                  {`monitoring: {enableMetrics: false}`, `monitoring: {enableMetrics: true}`, admitted("GET", "/metrics"), [2]string{"404", "200"}, ""},
	"gateway.monitoring.metricsPath":                    {`monitoring: {enableMetrics: true}`, `monitoring: {enableMetrics: true, metricsPath: /m}`, admitted("GET", "/m"), [2]string{"404", "200"}, ""},
	"gateway.monitoring.enableRouteHealthCheck":         {`monitoring: {enableRouteHealthCheck: false}`, `monitoring: {enableRouteHealthCheck: true}`, admitted("GET", "/healthz/routes"), [2]string{"404", "200"}, ""},
	"gateway.monitoring.includeRouteHealthErrors":       {`monitoring: {enableRouteHealthCheck: true}`, `monitoring: {enableRouteHealthCheck: true, includeRouteHealthErrors: true}`, illness, [2]string{"unhealthy", "unhealthy: status 500"}, ""},
	"gateway.monitoring.middleware.routeHealthCheck[0]": {`monitoring: {enableRouteHealthCheck: true}`, `monitoring: {enableRouteHealthCheck: true, middleware: {routeHealthCheck: [login]}}`, admitted("GET", "/healthz/routes"), [2]string{"200", "401"}, ""},
	"gateway.monitoring.enablePprof":                    {`monitoring: {enablePprof: false}`, `monitoring: {enablePprof: true}`, admitted("GET", "/debug/pprof/"), [2]string{"404", "200"}, ""},

	"gateway.log.level":        {`log: {level: info}`, `log: {level: error}`, ended("Proxied request"), [2]string{"5", "0"}, ""},
	"gateway.log.filePath":     {`log: {level: info}`, `log: {level: info, filePath: $DIR/goma.log}`, ended("Proxied request"), [2]string{"5", "0"}, ""},
	"gateway.log.format":       {`log: {level: info}`, `log: {level: info, format: json}`, ended(`"msg":"Proxied request"`), [2]string{"0", "5"}, ""},
	"gateway.log.accessSample": {`log: {level: info}`, `log: {level: info, accessSample: 0}`, ended("Proxied request"), [2]string{"5", "0"}, ""},

	"gateway.tracing.enabled":     {`tracing: {enabled: false, endpoint: $HTTP, sampleRatio: 1}`, `tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1}`, exported("goma-gateway"), [2]string{"false", "true"}, ""},
	"gateway.tracing.endpoint":    {`tracing: {enabled: true, endpoint: "http://localhost:1", sampleRatio: 1}`, `tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1}`, exported("goma-gateway"), [2]string{"false", "true"}, ""},
	"gateway.tracing.sampleRatio": {`tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 0}`, `tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1}`, exported("goma-gateway"), [2]string{"false", "true"}, ""},
	"gateway.tracing.serviceName": {`tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1}`, `tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1, serviceName: shop-edge}`, exported("shop-edge"), [2]string{"false", "true"}, ""},
	"gateway.tracing.headers.key": {`tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1}`, `tracing: {enabled: true, endpoint: $HTTP, sampleRatio: 1, headers: {X-Tenant: shop-tenant}}`, exported("shop-tenant"), [2]string{"false", "true"}, ""},

	"gateway.strictSlash":             {`strictSlash: true`, `strictSlash: false`, admitted("GET", "/healthz/"), [2]string{"301", "404"}, ""},
	"gateway.defaults.middlewares[0]": {`defaults: {}`, `defaults: {middlewares: [login]}`, status("GET", "/home"), [2]string{"200", "401"}, ""},
	"gateway.reload.enabled":          {`reload: {enabled: false, token: t}`, `reload: {enabled: true, token: t}`, reloaded, [2]string{"404", "200"}, ""},
	"gateway.reload.path":             {`reload: {enabled: true, token: t, path: /r}`, `reload: {enabled: true, token: t, path: /gateway/reload}`, reloaded, [2]string{"404", "200"}, ""},
	"gateway.reload.token":            {`reload: {enabled: true, token: other}`, `reload: {enabled: true, token: t}`, reloaded, [2]string{"401", "200"}, ""},
	"gateway.reload.host":             {`reload: {enabled: true, token: t}`, `reload: {enabled: true, token: t, host: other.example}`, reloaded, [2]string{"200", "404"}, ""},

	"middlewares[0].name":     {chained(`name: other, type: addPrefix, rule: {prefix: /v1}`), chained(`name: m, type: addPrefix, rule: {prefix: /v1}`), status("GET", "/m/x"), [2]string{"503", "200"}, ""},
	"middlewares[0].type":     {chained(`name: m, type: requestHeaders, rule: {setHeaders: {X-A: b}}`), chained(`name: m, type: responseHeaders, rule: {setHeaders: {X-A: b}}`), header("X-A", "/m/x"), [2]string{"", "b"}, ""},
	"middlewares[0].rule":     {chained(`name: m, type: addPrefix, rule: {prefix: /v1}`), chained(`name: m, type: addPrefix, rule: {prefix: /v2}`), body("/m/x"), [2]string{"A /v1/m/x", "A /v2/m/x"}, ""},
	"middlewares[0].paths[0]": {chained(`name: m, type: basic, paths: [/m/y], rule: {users: ["a:b"]}`), chained(`name: m, type: basic, paths: [/m/x], rule: {users: ["a:b"]}`), status("GET", "/m/x"), [2]string{"200", "401"}, ""},
}

func init() {
	for _, point := range []string{"web", "webSecure"} {
		at := func(settings string) string {
			return "entryPoints: {" + point + ": {proxyProtocol: {" + settings + "}}}"
		}
		path := "gateway.entryPoints." + point + ".proxyProtocol."
		fileTrials["gateway.entryPoints."+point+".upgrades[0]"] = trial{
			"entryPoints: {" + point + ": {}}", "entryPoints: {" + point + ": {upgrades: [mqtt]}}", upgraded(point), [2]string{"", "mqtt"}, "",
		}
		fileTrials[path+"accept"] = trial{at(`accept: false, trustedProxies: [127.0.0.1]`), at(`accept: true, trustedProxies: [127.0.0.1]`), balanced(point), [2]string{"false", "true"}, ""}
		fileTrials[path+"trustedProxies[0]"] = trial{at(`accept: true, trustedProxies: [10.0.0.1]`), at(`accept: true, trustedProxies: [127.0.0.1]`), balanced(point), [2]string{"false", "true"}, ""}
	}
}

func limited(redis string) string { return "redis: {" + redis + "}" }

func served(settings string) string {
	return "providers: {http: {" + settings + ", cacheDir: $DIR/cache.json}}"
}

func cloned(settings string) string {
	return "providers: {git: {enabled: true, cloneDir: $DIR/clone, " + settings + "}}"
}

func chained(middleware string) string {
	return "debug: false\n---\nmiddlewares: [{" + middleware + "}]"
}

// fileShown are the settings that other tests take to what they do.
var fileShown = map[string]shown{
	"gateway.tls.clientAuth.clientCA":       {"internal/gateway", "TestClientCertificatesAreDemandedWhateverElseIsLoaded", ""},
	"gateway.tls.clientAuth.required":       {"internal/gateway", "TestClientCertificatesAreDemandedWhateverElseIsLoaded", ""},
	"gateway.tls.clientAuth.identityHeader": {"internal/gateway", "TestBackendsLearnWhoTheClientIsFromNobodyElse", ""},
	"gateway.tls.minVersion":                {"internal/gateway", "TestHandshakesFollowTheSettings", ""},
	"gateway.tls.cipherSuites[0]":           {"internal/gateway", "TestHandshakesFollowTheSettings", ""},
	"gateway.tls.curves[0]":                 {"internal/gateway", "TestHandshakesFollowTheSettings", ""},
	"gateway.tls.ocspStapling":              {"internal/gateway", "TestWhatAnAuthoritySaysOfACertificateIsPassedOnUntilItIsSwitchedOff", ""},
	"gateway.tls.sessionTickets":            {"internal/gateway", "TestSessionsAreResumedAtAnotherReplica", ""},

	"gateway.entryPoints.web.maxConnections":                    {entryTests, "TestConnectionsAreBounded", ""},
	"gateway.entryPoints.web.maxConnectionsPerClient":           {entryTests, "TestConnectionsAreBounded", ""},
	"gateway.entryPoints.webSecure.maxConnections":              {entryTests, "TestConnectionsOfTLSAreBoundedBeforeAnyHandshake", ""},
	"gateway.entryPoints.webSecure.maxConnectionsPerClient":     {entryTests, "TestConnectionsOfTLSAreBoundedBeforeAnyHandshake", ""},
	"gateway.entryPoints.admin.maxConnections":                  {entryTests, "TestConnectionsAreBounded", ""},
	"gateway.entryPoints.admin.maxConnectionsPerClient":         {entryTests, "TestConnectionsAreBounded", ""},
	"gateway.entryPoints.admin.upgrades[0]":                     {"internal/config", "TestTheProxyProtocolOfEntryPointsIsChecked", "admin.upgrades"},
	"gateway.entryPoints.admin.proxyProtocol.accept":            {"internal/config", "TestTheProxyProtocolOfEntryPointsIsChecked", "admin.proxyProtocol"},
	"gateway.entryPoints.admin.proxyProtocol.trustedProxies[0]": {"internal/config", "TestTheProxyProtocolOfEntryPointsIsChecked", "admin.proxyProtocol"},
	"gateway.redis.tls.clientKey":                               {"internal/gateway/store/redis", "TestTLSNeedsAllFilesOrAnAddressThatAsksForIt", ""},
	forwards + "maxConnections":                                 {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},
	forwards + "maxConnectionsPerClient":                        {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},
	forwards + "protocol":                                       {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},
	forwards + "port":                                           {"internal/gateway", "TestForwardsAreServedBesideRoutesAndFollowTheMainFile", ""},
	forwards + "target":                                         {"internal/gateway", "TestForwardsAreServedBesideRoutesAndFollowTheMainFile", "Another target"},
	forwards + "timeout":                                        {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},
	forwards + "proxyProtocol.accept":                           {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},
	forwards + "proxyProtocol.trustedProxies[0]":                {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},
	forwards + "proxyProtocol.send":                             {"internal/gateway/passthrough", "TestRulesAreThoseOfTheFile", ""},

	"gateway.providers.file.indexed":                   {"internal/gateway", "TestTheSidecarIsAnsweredWithWhatIsLive", ""},
	"gateway.providers.http.headers.key":               {"internal/gateway/source/httpsource", "TestTheRequestIsThatOfTheFormat", "Headers"},
	"gateway.providers.http.insecureSkipVerify":        {"internal/gateway/source/httpsource", "TestTheServerIsCheckedAndShownACertificate", ""},
	"gateway.providers.http.tls.rootCAs":               {"internal/gateway/source/httpsource", "TestTheServerIsCheckedAndShownACertificate", ""},
	"gateway.providers.http.tls.clientCert":            {"internal/gateway/source/httpsource", "TestTheServerIsCheckedAndShownACertificate", ""},
	"gateway.providers.http.tls.clientKey":             {"internal/gateway/source/httpsource", "TestTheServerIsCheckedAndShownACertificate", ""},
	"gateway.providers.http.wait":                      {"internal/gateway/source/httpsource", "TestAServerThatWaitsMakesAChangeLiveAtOnce", ""},
	"gateway.providers.git.interval":                   {"internal/gateway", "TestARepositoryIsLookedAtAtEveryInterval", ""},
	"gateway.providers.git.branch":                     {gitTests, "TestABranchATagOrACommitIsRead", ""},
	"gateway.providers.git.path":                       {gitTests, "TestARepositoryIsFollowedOverSSH", ""},
	"gateway.providers.git.cloneDir":                   {gitTests, "TestAGatewayStartsWhileTheServerIsAway", ""},
	"gateway.providers.git.auth.type":                  {gitTests, "TestCredentialsAreShownAndNeverSaid", ""},
	"gateway.providers.git.auth.token":                 {gitTests, "TestCredentialsAreShownAndNeverSaid", ""},
	"gateway.providers.git.auth.username":              {gitTests, "TestCredentialsAreShownAndNeverSaid", ""},
	"gateway.providers.git.auth.password":              {gitTests, "TestCredentialsAreShownAndNeverSaid", ""},
	"gateway.providers.git.auth.sshKeyPath":            {gitTests, "TestTheKeyIsReadInEverySpelling", ""},
	"gateway.providers.git.auth.sshKeyData":            {gitTests, "TestTheKeyIsReadInEverySpelling", ""},
	"gateway.providers.git.auth.knownHosts":            {gitTests, "TestAServerThatIsNotKnownIsNotAsked", ""},
	"gateway.providers.git.auth.insecureIgnoreHostKey": {gitTests, "TestAServerThatIsNotKnownIsNotAsked", ""},
	"gateway.providers.git.webhookSecret":              {"internal/gateway", "TestAPushIsLiveAtOnce", ""},

	"gateway.proxy.enabled":           {"internal/gateway/entrypoint", "TestTheClientIsTheRightmostAddressThatIsNotTrusted", ""},
	"gateway.proxy.trustedProxies[0]": {"internal/gateway/entrypoint", "TestTheClientIsTheRightmostAddressThatIsNotTrusted", ""},
	"gateway.proxy.ipHeaders[0]":      {"internal/gateway/entrypoint", "TestTheClientIsTheRightmostAddressThatIsNotTrusted", ""},

	"gateway.monitoring.host":                  {"internal/gateway", "TestMetricsAreGuardedByTheirMiddlewareAndHiddenByHost", ""},
	"gateway.monitoring.middleware.metrics[0]": {"internal/gateway", "TestMetricsAreGuardedByTheirMiddlewareAndHiddenByHost", ""},
	"gateway.monitoring.visitorTTL":            {"internal/gateway/observe", "TestVisitorsStayForAsLongAsIsSet", ""},
	"gateway.log.maxAgeDays":                   {"internal/gateway/observe", "TestALogFileIsPutAsideWhenItHasGrown", ""},
	"gateway.log.maxBackups":                   {"internal/gateway/observe", "TestALogFileIsPutAsideWhenItHasGrown", ""},
	"gateway.log.maxSizeMB":                    {"internal/gateway/observe", "TestALogFileIsPutAsideWhenItHasGrown", ""},

	"gateway.networking.dnsCache.ttl":           {"internal/gateway/upstream", "TestDefaultTTLOfNames", ""},
	"gateway.networking.dnsCache.clearOnReload": {"internal/gateway", "TestNamesAreForgottenOnAReloadThatIsToldTo", ""},
	"gateway.networking.dnsCache.resolver[0]":   {"internal/gateway", "TestNamesAreForgottenOnAReloadThatIsToldTo", ""},
	transport + "insecureSkipVerify":            {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "maxIdleConns":                  {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "maxIdleConnsPerHost":           {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "maxConnsPerHost":               {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "tlsHandshakeTimeout":           {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "responseHeaderTimeout":         {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "idleConnTimeout":               {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},
	transport + "forceAttemptHTTP2":             {"internal/gateway/upstream", "TestEverySettingReachesTheConnections", ""},

	"gateway.geoip.database": {"internal/gateway/snapshot", "TestADatabaseOfCountriesThatAppearsIsUsed", ""},
	"gateway.dynamicEnv[0]":  {"internal/config", "TestSourcesOfOthersSeeOnlyTheVariablesTheyMay", ""},

	"certManager.defaultProvider":    {"internal/config", "TestTheProviderOfRoutesThatNameNone", ""},
	"certManager.provider":           {acmeTests, "TestAProviderOfAnotherTypeThanACMEIsOffAndSaysSo", ""},
	"certManager.providers.key.type": {acmeTests, "TestAProviderOfAnotherTypeThanACMEIsOffAndSaysSo", ""},
}

// acmeShown are the settings of an authority, for the short form and for each provider.
var acmeShown = map[string]shown{
	"email":                {acmeTests, "TestSettingsThatCannotWorkAreTold", ""},
	"directoryUrl":         {acmeTests, "TestAnotherDirectoryIsAnotherPlace", ""},
	"storageFile":          {acmeTests, "TestWhatAnotherProgramObtainedIsTakenOver", "importing"},
	"termsAccepted":        {acmeTests, "TestSettingsThatCannotWorkAreTold", ""},
	"challengeType":        {acmeTests, "TestSettingsThatCannotWorkAreTold", ""},
	"dnsProvider":          {acmeTests, "TestSettingsThatCannotWorkAreTold", ""},
	"credentials.key":      {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"resolvers[0]":         {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"propagationTimeout":   {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"skipPropagationCheck": {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"rootCAs":              {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"keyType":              {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"eab.keyId":            {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
	"eab.hmacKey":          {acmeTests, "TestSettingsOfAnAuthorityReachWhoAsksIt", ""},
}

// silent are the settings that do nothing, and of which the user is told; those of
// withoutEffect by their paths. There is one version of the format.
var silent = map[string]string{
	"version": "", "gateway.debug": "Gateway.Debug",
	"gateway.networking.transport.disableCompression": "Transport.DisableCompression",
	"gateway.monitoring.enableReadiness":              "Monitoring.EnableReadiness", "gateway.monitoring.enableLiveness": "Monitoring.EnableLiveness",
}

const (
	forwards   = "gateway.entryPoints.passThrough.forwards[0]."
	transport  = "gateway.networking.transport."
	entryTests = "internal/gateway/entrypoint"
	gitTests   = "internal/gateway/source/gitsource"
	acmeTests  = "internal/gateway/certs/acme"
)

// fileSettings are those of the main file without those of its routes.
func fileSettings(t *testing.T) (list []string) {
	t.Helper()
	for _, path := range settingsOf(reflect.TypeFor[config.File](), "") {
		if !strings.HasPrefix(path, "gateway.routes") {
			list = append(list, path)
		}
	}
	if len(list) < 150 {
		t.Fatalf("found only %d settings", len(list))
	}
	return list
}

// elsewhere puts together what other tests show, and what is silent.
func elsewhere(t *testing.T, settings []string) map[string]shown {
	t.Helper()
	all := map[string]shown{}
	for path, x := range fileShown {
		x.check(t, path)
		all[path] = x
	}
	for path, x := range acmeShown {
		x.check(t, path)
		all["certManager.acme."+path], all["certManager.providers.key.acme."+path] = x, x
	}
	vault := shown{acmeTests, "TestAProviderOfAnotherTypeThanACMEIsOffAndSaysSo", "vault"}
	vault.check(t, "vault")
	for _, path := range settings {
		if strings.Contains(path, ".vault.") {
			all[path] = vault
		}
		name, is := silent[path]
		if strings.HasPrefix(path, "gateway.analytics.") {
			name, is = "Analytics", true
		}
		if x := withoutEffect[name]; is && name != "" && !told(t, x.file, x.told) {
			t.Errorf("nobody is told that %s does nothing", path)
		}
		if is {
			all[path] = shown{}
		}
	}
	return all
}

// TestEverySettingOfTheMainFileChangesSomething runs the trials, each with two gateways
// of its own. Both files differ in their one setting. C7, T1
func TestEverySettingOfTheMainFileChangesSomething(t *testing.T) {
	t.Parallel()
	settings := fileSettings(t)
	complete(t, settings, fileTrials, elsewhere(t, settings))
	l := newLab(t)
	for path, x := range fileTrials {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var files [2]*config.File
			for i, text := range []string{x.base, x.with} {
				v := l.apart(t, text, i == 1, x.want[i])
				files[i] = v.read()
				if got := until(x.see)(v); got != v.want {
					t.Errorf("with the setting %v: saw %q, want %q\n%s\n%s", v.with, got, v.want, v.text, v.lab.r.log)
				}
				v.lab.r.end()
			}
			differs(t, path, x.want, files[0], files[1], settings)
		})
	}
}

func TestARepositoryIsLookedAtAtEveryInterval(t *testing.T) { // C7
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	repository, commit := gitRepository(t)
	commit(bundle(routeYAML("a", "/a", backend)))
	path := filepath.Join(dir, "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  providers: {git: {enabled: true, url: %q, cloneDir: %q, interval: 20ms}}\n", repository, filepath.Join(dir, "clone")), ""))
	r := start(t, Options{ConfigFile: path})
	r.untilRoutes("a")
	commit(bundle(routeYAML("b", "/b", backend)))
	r.untilRoutes("b")
}
