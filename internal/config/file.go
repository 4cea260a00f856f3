// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

// File is the main configuration file, goma.yml.
type File struct {
	Version     any          `json:"version,omitempty"`
	Gateway     Gateway      `json:"gateway"`
	Middlewares []Middleware `json:"middlewares,omitempty"`
	CertManager *CertManager `json:"certManager,omitempty"`

	// name is that of the file that was loaded, places where its settings are.
	name   string
	places places
	// secrets are the variables of which the settings make credentials, and where.
	secrets map[string]string
}

// Gateway holds the settings of the process and its static routes.
type Gateway struct {
	TLS         *TLS        `json:"tls,omitempty"`
	Redis       *Redis      `json:"redis,omitempty"`
	Timeouts    Timeouts    `json:"timeouts,omitzero"`
	EntryPoints EntryPoints `json:"entryPoints,omitzero"`
	Providers   Providers   `json:"providers,omitzero"`
	Proxy       Proxy       `json:"proxy,omitzero"`
	Monitoring  Monitoring  `json:"monitoring,omitzero"`
	Log         Log         `json:"log,omitzero"`
	Tracing     *Tracing    `json:"tracing,omitempty"`
	Networking  Networking  `json:"networking,omitzero"`
	StrictSlash *bool       `json:"strictSlash,omitempty"`
	Debug       bool        `json:"debug,omitempty"`
	Defaults    Defaults    `json:"defaults,omitzero"`
	ExtraConfig ExtraConfig `json:"extraConfig,omitzero"`
	Reload      Reload      `json:"reload,omitzero"`
	Analytics   Analytics   `json:"analytics,omitzero"`
	GeoIP       GeoIP       `json:"geoip,omitzero"`
	DynamicEnv  []string    `json:"dynamicEnv,omitempty"`
	Routes      []Route     `json:"routes"`
}

// TLS holds the certificates that the gateway shows.
type TLS struct {
	CertsDir     string        `json:"certsDir,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Default      *Certificate  `json:"default,omitempty"`
	ClientAuth   *ClientAuth   `json:"clientAuth,omitempty"`
	// MinVersion is 1.2, the default, or 1.3.
	MinVersion string `json:"minVersion,omitempty"`
	// CipherSuites are those of TLS 1.2, by their names of IANA; those of 1.3 are fixed.
	CipherSuites []string `json:"cipherSuites,omitempty"`
	// Curves are the key exchanges, in the order of preference. X25519MLKEM768, which
	// quantum computers do not break, is among those of the default.
	Curves []string `json:"curves,omitempty"`
	// SessionTickets resume sessions; true is the default.
	SessionTickets *bool `json:"sessionTickets,omitempty"`
	// OCSPStapling passes on what an authority says of a certificate whose responder it
	// names; true is the default.
	OCSPStapling *bool `json:"ocspStapling,omitempty"`
}

// Certificate is a pair; each half is a path, PEM text, or base64 of PEM text.
type Certificate struct {
	Cert string     `json:"cert"`
	Key  PrivateKey `json:"key"`
}

// ClientAuth asks clients for certificates of an authority.
type ClientAuth struct {
	ClientCA string `json:"clientCA,omitempty"`
	Required bool   `json:"required,omitempty"`
	// IdentityHeader tells backends who the client is, by the subject of its
	// certificate. Whatever a client sends in it is removed.
	IdentityHeader string `json:"identityHeader,omitempty"`
}

// Redis is where the replicas of a gateway share their state.
type Redis struct {
	// Addr is host:port, or rediss://host:port for TLS; Redis is used when it is set.
	Addr string `json:"addr,omitempty"`
	// Username is for servers with users of their own (ACL); empty is the default one.
	Username string `json:"username,omitempty"`
	Password Secret `json:"password,omitempty"`
	// KeyPrefix starts every key, so that gateways can share a server; goma: by default.
	KeyPrefix      string    `json:"keyPrefix,omitempty"`
	DB             int       `json:"db,omitempty"`
	FlushOnStartup bool      `json:"flushOnStartup,omitempty"`
	TLS            *RedisTLS `json:"tls,omitempty"`
}

// RedisTLS are the paths of what TLS to Redis needs; all three, or none.
type RedisTLS struct {
	ClientCA   string `json:"clientCa,omitempty"`
	ClientCert string `json:"clientCert,omitempty"`
	ClientKey  string `json:"clientKey,omitempty"`
}

// Timeouts are in seconds; 0 means none.
type Timeouts struct {
	Read  int `json:"read,omitempty"`
	Write int `json:"write,omitempty"`
	Idle  int `json:"idle,omitempty"`
}

// EntryPoints are the listeners.
type EntryPoints struct {
	Web         EntryPoint  `json:"web,omitzero"`
	WebSecure   EntryPoint  `json:"webSecure,omitzero"`
	Admin       EntryPoint  `json:"admin,omitzero"`
	PassThrough PassThrough `json:"passThrough,omitzero"`
}

// EntryPoint is one listener: an address such as :8080.
type EntryPoint struct {
	Address       string         `json:"address,omitempty"`
	ProxyProtocol *ProxyProtocol `json:"proxyProtocol,omitempty"`
	// MaxConnections is how many connections may be open at once; 0 is 16384, or less
	// where the process may not open so many files. MaxConnectionsPerClient is how
	// many of them one address may have, or one /64 network of IPv6; 0 is a quarter.
	// Trusted proxies are not bound by it.
	MaxConnections          int `json:"maxConnections,omitempty"`
	MaxConnectionsPerClient int `json:"maxConnectionsPerClient,omitempty"`
	// Upgrades are the protocols, beside websocket, that a connection of HTTP/1.1 may
	// change to. Case does not matter.
	Upgrades []string `json:"upgrades,omitempty"`
}

// ProxyProtocol is how an entry point learns whose connections a load balancer
// passes on. With Accept, connections of TrustedProxies must begin with a header of
// the PROXY protocol, of either version; the list is that of gateway.proxy when it
// is empty. Connections of others are served as they are.
type ProxyProtocol struct {
	Accept         bool     `json:"accept,omitempty"`
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// PassThrough are ports whose connections are forwarded as they are.
type PassThrough struct {
	Forwards []Forward `json:"forwards,omitempty"`
}

// Forward is one such port; Protocol is tcp, udp or tcp/udp.
type Forward struct {
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`
	Target   string `json:"target"`
	// Timeout is how many seconds nobody may send anything; 0 is an hour for TCP and
	// five minutes for UDP.
	Timeout int `json:"timeout,omitempty"`
	// MaxConnections is how many connections, or sessions of UDP, the port may have at
	// once; 0 is 8192, or 4096 sessions. MaxConnectionsPerClient is how many TCP
	// connections one address may have, or one /64 network of IPv6; 0 is as many.
	MaxConnections          int                   `json:"maxConnections,omitempty"`
	MaxConnectionsPerClient int                   `json:"maxConnectionsPerClient,omitempty"`
	ProxyProtocol           *ForwardProxyProtocol `json:"proxyProtocol,omitempty"`
}

// ForwardProxyProtocol is how a TCP port learns and tells whose connections it
// forwards. Accept and TrustedProxies are as in ProxyProtocol. Send is v1 or v2, the header that the target gets, or empty for none.
type ForwardProxyProtocol struct {
	Accept         bool     `json:"accept,omitempty"`
	TrustedProxies []string `json:"trustedProxies,omitempty"`
	Send           string   `json:"send,omitempty"`
}

// Providers are the sources of routes and middlewares beside the main file.
type Providers struct {
	File *FileProvider `json:"file,omitempty"`
	HTTP *HTTPProvider `json:"http,omitempty"`
	Git  *GitProvider  `json:"git,omitempty"`
}

// FileProvider reads every document of a directory.
type FileProvider struct {
	Enabled   bool   `json:"enabled"`
	Directory string `json:"directory,omitempty"`
	Watch     bool   `json:"watch,omitempty"`
	// Indexed says that the directory is written by goma-k8s-provider in the
	// format of package wire: the gateway reads its index, and is not ready
	// before the first complete one.
	Indexed bool `json:"indexed,omitempty"`
}

// HTTPProvider asks a URL for a document, again and again. CacheDir names a file.
type HTTPProvider struct {
	Enabled            bool              `json:"enabled"`
	Endpoint           string            `json:"endpoint,omitempty"`
	Interval           Duration          `json:"interval,omitempty"`
	Timeout            Duration          `json:"timeout,omitempty"`
	RetryAttempts      *int              `json:"retryAttempts,omitempty"`
	RetryDelay         Duration          `json:"retryDelay,omitempty"`
	CacheDir           string            `json:"cacheDir,omitempty"`
	Headers            map[string]Secret `json:"headers,omitempty"`
	InsecureSkipVerify bool              `json:"insecureSkipVerify,omitempty"`
	// TLS checks the server with another authority, and shows it a certificate.
	TLS *BackendTLS `json:"tls,omitempty"`
	// Wait asks the server to hold its answer back until something changes, at
	// most so long. A server that does not know how is asked at every Interval.
	Wait Duration `json:"wait,omitempty"`
}

// GitProvider reads the documents of a repository.
type GitProvider struct {
	Enabled  bool     `json:"enabled"`
	URL      string   `json:"url,omitempty"`
	Branch   string   `json:"branch,omitempty"`
	Path     string   `json:"path,omitempty"`
	Interval Duration `json:"interval,omitempty"`
	CloneDir string   `json:"cloneDir,omitempty"`
	Auth     *GitAuth `json:"auth,omitempty"`
	// TLS checks an https server with another authority, and shows it a certificate.
	TLS *BackendTLS `json:"tls,omitempty"`
	// WebhookSecret turns on the endpoint that has the repository read at once.
	WebhookSecret Secret `json:"webhookSecret,omitempty"`
}

// GitAuth is how the repository is reached; Type is token, basic or ssh. With ssh,
// Password is the passphrase of the key.
type GitAuth struct {
	Type       string `json:"type"`
	Token      Secret `json:"token,omitempty"`
	Username   Secret `json:"username,omitempty"`
	Password   Secret `json:"password,omitempty"`
	SSHKeyPath string `json:"sshKeyPath,omitempty"`
	SSHKeyData Secret `json:"sshKeyData,omitempty"`
	// KnownHosts is the path, or the lines, of a known_hosts file. By default it is
	// the file of that name beside SSHKeyPath, or that of the user or the system.
	KnownHosts string `json:"knownHosts,omitempty"`
	// InsecureIgnoreHostKey takes any server for the right one.
	InsecureIgnoreHostKey bool `json:"insecureIgnoreHostKey,omitempty"`
}

// Proxy says which proxies in front of the gateway are believed.
type Proxy struct {
	Enabled        bool     `json:"enabled,omitempty"`
	TrustedProxies []string `json:"trustedProxies,omitempty"`
	IPHeaders      []string `json:"ipHeaders,omitempty"`
}

// Monitoring are the built-in endpoints for health and metrics.
type Monitoring struct {
	EnableMetrics            bool                 `json:"enableMetrics,omitempty"`
	Host                     string               `json:"host,omitempty"`
	MetricsPath              string               `json:"metricsPath,omitempty"`
	VisitorTTL               Duration             `json:"visitorTTL,omitempty"`
	EnableReadiness          *bool                `json:"enableReadiness,omitempty"`
	EnableLiveness           *bool                `json:"enableLiveness,omitempty"`
	EnableRouteHealthCheck   bool                 `json:"enableRouteHealthCheck,omitempty"`
	IncludeRouteHealthErrors bool                 `json:"includeRouteHealthErrors,omitempty"`
	Middleware               MonitoringMiddleware `json:"middleware,omitzero"`
	// EnablePprof serves profiles of the process at /debug/pprof/ of the admin listener.
	EnablePprof bool `json:"enablePprof,omitempty"`
}

// MonitoringMiddleware names the middlewares that guard built-in endpoints.
type MonitoringMiddleware struct {
	Metrics          []string `json:"metrics,omitempty"`
	RouteHealthCheck []string `json:"routeHealthCheck,omitempty"`
}

// Log is where the log goes, and how much of it.
type Log struct {
	Level      string `json:"level,omitempty"`
	FilePath   string `json:"filePath,omitempty"`
	Format     string `json:"format,omitempty"`
	MaxAgeDays int    `json:"maxAgeDays,omitempty"`
	MaxBackups int    `json:"maxBackups,omitempty"`
	MaxSizeMB  int    `json:"maxSizeMB,omitempty"`
	// AccessSample is the share of the requests answered with a status below 400 that
	// the access log has, from 0 to 1; all by default. Others are always logged.
	AccessSample *float64 `json:"accessSample,omitempty"`
}

// Tracing has spans of requests sent to a collector, by OTLP over HTTP.
type Tracing struct {
	Enabled bool `json:"enabled"`
	// Endpoint is the URL of the collector, such as http://otel-collector:4318.
	Endpoint string `json:"endpoint,omitempty"`
	// SampleRatio is the share of requests that are exported, from 0 to 1; 0.1 by
	// default. What a trusted proxy has decided about a trace comes first.
	SampleRatio *float64 `json:"sampleRatio,omitempty"`
	// ServiceName is goma-gateway by default.
	ServiceName string `json:"serviceName,omitempty"`
	// Headers go with every export.
	Headers map[string]Secret `json:"headers,omitempty"`
}

// Networking is how the gateway reaches backends.
type Networking struct {
	DNSCache  DNSCache  `json:"dnsCache,omitzero"`
	Transport Transport `json:"transport,omitzero"`
}

// DNSCache is how names of backends are looked up; TTL is in seconds.
type DNSCache struct {
	TTL           *int     `json:"ttl,omitempty"`
	ClearOnReload bool     `json:"clearOnReload,omitempty"`
	Resolver      []string `json:"resolver,omitempty"`
}

// Transport bounds the connections to backends; times are in seconds.
type Transport struct {
	InsecureSkipVerify    bool  `json:"insecureSkipVerify,omitempty"`
	DisableCompression    bool  `json:"disableCompression,omitempty"`
	MaxIdleConns          *int  `json:"maxIdleConns,omitempty"`
	MaxIdleConnsPerHost   *int  `json:"maxIdleConnsPerHost,omitempty"`
	MaxConnsPerHost       *int  `json:"maxConnsPerHost,omitempty"`
	TLSHandshakeTimeout   int   `json:"tlsHandshakeTimeout,omitempty"`
	ResponseHeaderTimeout int   `json:"responseHeaderTimeout,omitempty"`
	IdleConnTimeout       *int  `json:"idleConnTimeout,omitempty"`
	ForceAttemptHTTP2     *bool `json:"forceAttemptHTTP2,omitempty"`
}

// Defaults is what every route gets.
type Defaults struct {
	Middlewares []string `json:"middlewares,omitempty"`
}

// ExtraConfig is a directory with more documents of the owner of the gateway.
type ExtraConfig struct {
	Directory string `json:"directory,omitempty"`
	Watch     bool   `json:"watch,omitempty"`
}

// Reload is the endpoint that makes the gateway read everything again.
type Reload struct {
	Enabled bool   `json:"enabled,omitempty"`
	Path    string `json:"path,omitempty"`
	Token   Secret `json:"token,omitempty"`
	Host    string `json:"host,omitempty"`
}

// Analytics sends a record of requests to a stream of Redis.
type Analytics struct {
	Enabled   bool     `json:"enabled,omitempty"`
	Stream    string   `json:"stream,omitempty"`
	Sample    *float64 `json:"sample,omitempty"`
	MaxLen    *int     `json:"maxLen,omitempty"`
	GatewayID string   `json:"gatewayId,omitempty"`
}

// GeoIP is the path of the database of countries.
type GeoIP struct {
	Database string `json:"database,omitempty"`
}

// CertManager obtains certificates.
type CertManager struct {
	DefaultProvider string                  `json:"defaultProvider,omitempty"`
	Providers       map[string]CertProvider `json:"providers,omitempty"`
	// Short form: becomes Providers["default"].
	Provider string `json:"provider,omitempty"`
	ACME     *ACME  `json:"acme,omitempty"`
	Vault    *Vault `json:"vault,omitempty"`
}

// CertProvider is one place to obtain them from; Type is acme or vault.
type CertProvider struct {
	Type  string `json:"type"`
	ACME  *ACME  `json:"acme,omitempty"`
	Vault *Vault `json:"vault,omitempty"`
}

// ACME is a certificate authority that speaks RFC 8555.
type ACME struct {
	Email         string            `json:"email,omitempty"`
	DirectoryURL  string            `json:"directoryUrl,omitempty"`
	StorageFile   string            `json:"storageFile,omitempty"`
	TermsAccepted *bool             `json:"termsAccepted,omitempty"`
	ChallengeType string            `json:"challengeType,omitempty"`
	DNSProvider   string            `json:"dnsProvider,omitempty"`
	Credentials   map[string]Secret `json:"credentials,omitempty"`
	// Resolvers are asked for the zone of a name, and whether a record is there, in
	// place of those of the system and the name servers of the zone.
	Resolvers []string `json:"resolvers,omitempty"`
	// PropagationTimeout is how long a record may take to be seen; 0 is 2 minutes.
	PropagationTimeout   Duration `json:"propagationTimeout,omitempty"`
	SkipPropagationCheck bool     `json:"skipPropagationCheck,omitempty"`
	// RootCAs are trusted beside those of the system when the directory is spoken to:
	// a path, PEM or base64 of PEM.
	RootCAs string `json:"rootCAs,omitempty"`
	// EAB binds the account to one outside of ACME.
	EAB *ExternalAccount `json:"eab,omitempty"`
	// KeyType is the kind of the keys of certificates: one of KeyTypes; empty is ec256.
	KeyType string `json:"keyType,omitempty"`
}

// ExternalAccount is what an authority hands out to its customers. HMACKey is in
// base64 for URLs.
type ExternalAccount struct {
	KeyID   string `json:"keyId,omitempty"`
	HMACKey Secret `json:"hmacKey,omitempty"`
}

// Vault is a PKI of HashiCorp Vault.
type Vault struct {
	Address     string `json:"address,omitempty"`
	Token       Secret `json:"token,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Role        string `json:"role,omitempty"`
	Mount       string `json:"mount,omitempty"`
	TTL         string `json:"ttl,omitempty"`
	StorageFile string `json:"storageFile,omitempty"`
}
