// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LoadBalancing is how requests are shared out among backends.
//
// +kubebuilder:validation:XValidation:rule="!has(self.hashOn) || has(self.policy) && self.policy == 'consistentHash'",message="hashOn needs policy consistentHash"
type LoadBalancing struct {
	// Who gets a request. roundRobin: each in turn, by weight. leastRequest: of two chosen
	// by weight, the one with fewer requests under way. consistentHash: for the same
	// value of hashOn always the same one. Default roundRobin.
	//
	// +optional
	// +kubebuilder:validation:Enum=roundRobin;leastRequest;consistentHash
	Policy string `json:"policy,omitempty"`
	// What consistentHash looks at. Default: the address of the client.
	//
	// +optional
	HashOn *HashOn `json:"hashOn,omitempty"`
	// Keeps a client at the backend that it had before, for as long as that is in service.
	//
	// +optional
	Sticky *Sticky `json:"sticky,omitempty"`
	// Time in which a backend that has come back reaches its full share, beginning with a
	// tenth of it. Without effect on consistentHash. Default 0s, at once.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="must be a duration such as 10s"
	SlowStart string `json:"slowStart,omitempty"`
}

// HashOn names a value of a request.
//
// +kubebuilder:validation:XValidation:rule="self.source == 'ip' || self.source == 'path' || has(self.name) && size(self.name) > 0",message="name the header, cookie or query parameter"
type HashOn struct {
	// Where the value is taken from. A request without it goes to any backend.
	//
	// +kubebuilder:validation:Enum=header;cookie;query;ip;path
	Source string `json:"source"`
	// Name of the header, cookie or query parameter. Not used for ip and path.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`
}

// Sticky is how a client is kept at its backend.
type Sticky struct {
	// Cookie that remembers the backend, by a word that does not tell its address.
	Cookie StickyCookie `json:"cookie"`
}

// StickyCookie is the cookie of a sticky route.
//
// +kubebuilder:validation:XValidation:rule="!has(self.sameSite) || self.sameSite != 'none' || has(self.secure) && self.secure",message="sameSite none needs secure"
type StickyCookie struct {
	// Name of the cookie. Default goma_ and a word made of the name of the Route.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]*$`
	Name string `json:"name,omitempty"`
	// Path of the cookie. Default /.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(/[!-:<-~]*)?$`
	Path string `json:"path,omitempty"`
	// Domain of the cookie. Default: the host alone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9.-]*$`
	Domain string `json:"domain,omitempty"`
	// Seconds that the cookie lives. Default 0, until the browser ends.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxAge int `json:"maxAge,omitempty"`
	// Sends the cookie over HTTPS only. Default: if it was set over HTTPS.
	//
	// +optional
	Secure bool `json:"secure,omitempty"`
	// Hides the cookie from scripts. Default true.
	//
	// +optional
	HTTPOnly *bool `json:"httpOnly,omitempty"`
	// Whether the cookie is sent along from other sites. Default lax.
	//
	// +optional
	// +kubebuilder:validation:Enum=lax;strict;none
	SameSite string `json:"sameSite,omitempty"`
}

// OutlierDetection takes backends out that fail requests: that cannot be connected to,
// break off, do not answer in time, or answer 502, 503 or 504.
type OutlierDetection struct {
	// Failures in a row that take a backend out. Default 5.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	ConsecutiveErrors int `json:"consecutiveErrors,omitempty"`
	// Time that a backend is out; each time in a row once more of it. Default 30s.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 10s"
	BaseEjectionTime string `json:"baseEjectionTime,omitempty"`
	// Longest time that a backend is out. Default 300s.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 10s"
	MaxEjectionTime string `json:"maxEjectionTime,omitempty"`
	// Percentage of the backends that may be out at once. Default 50.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MaxEjectionPercent *int `json:"maxEjectionPercent,omitempty"`
	// While a smaller percentage of the backends than this is in service, those that were
	// taken out for failures are used too. Default 50.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	PanicThreshold *int `json:"panicThreshold,omitempty"`
}

// RouteTimeouts are limits of the requests to backends.
type RouteTimeouts struct {
	// Time to connect to a backend, with the lookup of its name. Default 5s.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 10s"
	Connect string `json:"connect,omitempty"`
	// Time from the end of the request to the head of the response; then the answer is
	// 504. Default: that of the Gateway, which is none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 10s"
	ResponseHeader string `json:"responseHeader,omitempty"`
	// Time that a response may pause. Default none, as streams may be silent for long.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 10s"
	Idle string `json:"idle,omitempty"`
	// Time for the whole request, with all of its response. Default none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 10s"
	Total string `json:"total,omitempty"`
}
