// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

func gatewayService() []Case {
	return of("Gateway", []Case{
		{Name: "service types are known", Accepted: `{service: {type: NodePort}}`, Refused: `{service: {type: ExternalName}}`, Field: "spec.service.type"},
		{Name: "the http port is above 0", Accepted: `{service: {httpPort: 80, httpsPort: 443}}`, Refused: `{service: {httpPort: 0}}`, Field: "spec.service.httpPort"},
		{Name: "the http port is a port", Accepted: `{service: {httpPort: 65535}}`, Refused: `{service: {httpPort: 65536}}`, Field: "spec.service.httpPort"},
		{Name: "the https port is above 0", Accepted: `{service: {httpsPort: 1}}`, Refused: `{service: {httpsPort: 0}}`, Field: "spec.service.httpsPort"},
		{Name: "the https port is a port", Accepted: `{service: {httpsPort: 65535}}`, Refused: `{service: {httpsPort: 65536}}`, Field: "spec.service.httpsPort"},
		{Name: "the ports differ", Accepted: `{service: {httpPort: 8443, httpsPort: 8080}}`, Refused: `{service: {httpPort: 8443}}`, Field: "spec.service", Says: "must differ"},
		{Name: "the http node port is not negative", Accepted: `{service: {type: NodePort, httpNodePort: 30080, httpsNodePort: 30443}}`, Refused: `{service: {httpNodePort: -1}}`, Field: "spec.service.httpNodePort"},
		{Name: "the http node port is a port", Accepted: `{service: {type: NodePort, httpNodePort: 65535}}`, Refused: `{service: {httpNodePort: 65536}}`, Field: "spec.service.httpNodePort"},
		{Name: "the https node port is not negative", Accepted: `{service: {type: NodePort, httpsNodePort: 30443}}`, Refused: `{service: {httpsNodePort: -1}}`, Field: "spec.service.httpsNodePort"},
		{Name: "the https node port is a port", Accepted: `{service: {type: NodePort, httpsNodePort: 65535}}`, Refused: `{service: {httpsNodePort: 65536}}`, Field: "spec.service.httpsNodePort"},
		{Name: "node ports need a type that has them", Accepted: `{service: {type: LoadBalancer, httpNodePort: 30080}}`, Refused: `{service: {httpNodePort: 30080}}`, Field: "spec.service", Says: "node ports need type"},
		{Name: "an https node port needs a type that has it", Accepted: `{service: {httpsNodePort: 0}}`, Refused: `{service: {type: ClusterIP, httpsNodePort: 30443}}`, Field: "spec.service", Says: "node ports need type"},
		{Name: "node ports differ", Accepted: `{service: {type: NodePort, httpNodePort: 0, httpsNodePort: 0}}`, Refused: `{service: {type: NodePort, httpNodePort: 30080, httpsNodePort: 30080}}`, Field: "spec.service", Says: "must differ"},
		{Name: "a load balancer address is an address", Accepted: `{service: {type: LoadBalancer, loadBalancerIP: 192.0.2.1}}`, Refused: `{service: {type: LoadBalancer, loadBalancerIP: lb.example.com}}`, Field: "spec.service.loadBalancerIP"},
		{Name: "source ranges are cidr blocks", Accepted: `{service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8, "2001:db8::/32", 0.0.0.0/0]}}`, Refused: `{service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8, 10.0.0.1]}}`, Field: "spec.service.loadBalancerSourceRanges[1]"},
		{Name: "load balancers have classes", Accepted: `{service: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb}}`},
		{Name: "traffic policies are known, with every type", Accepted: `{service: {externalTrafficPolicy: Local}}`, Refused: `{service: {externalTrafficPolicy: Global}}`, Field: "spec.service.externalTrafficPolicy"},
		{Name: "affinities are known", Accepted: `{service: {sessionAffinity: ClientIP}}`, Refused: `{service: {sessionAffinity: Cookie}}`, Field: "spec.service.sessionAffinity"},
		{Name: "annotations may be left empty", Accepted: "{service: {type: LoadBalancer, annotations: , labels: }}", Refused: `{service: {annotations: {a: 1}}}`, Field: "spec.service.annotations.a"},
		{Name: "family policies are known", Accepted: `{service: {ipFamilyPolicy: PreferDualStack}}`, Refused: `{service: {ipFamilyPolicy: DualStack}}`, Field: "spec.service.ipFamilyPolicy"},
		{Name: "families are known", Accepted: `{service: {ipFamilies: [IPv6, IPv4]}}`, Refused: `{service: {ipFamilies: [IPv5]}}`, Field: "spec.service.ipFamilies[0]"},
	})
}

func gatewaySources() []Case {
	return of("Gateway", []Case{
		{Name: "the sidecar may be off", Accepted: `{providers: {kubernetes: {enabled: false}}}`},
		{Name: "the image of the sidecar is not empty", Accepted: `{providers: {kubernetes: {image: "provider:1"}}}`, Refused: `{providers: {kubernetes: {image: ""}}}`, Field: "spec.providers.kubernetes.image"},
		{Name: "the image of the sidecar has no spaces", Accepted: `{providers: {kubernetes: {image: provider}}}`, Refused: `{providers: {kubernetes: {image: "a b"}}}`, Field: "spec.providers.kubernetes.image", Says: "should match"},
		{Name: "http may be prepared while off", Accepted: `{providers: {http: {enabled: false, endpoint: "https://config.example.com/goma.yaml", interval: 60s}}}`},
		{Name: "http has a url when on", Accepted: `{providers: {http: {enabled: true, endpoint: "http://c", headers: {Authorization: "Bearer ${T}"}, headersSecret: s}}}`, Refused: `{providers: {http: {enabled: true}}}`, Field: "spec.providers.http", Says: "needs endpoint"},
		{Name: "http has an absolute url when on", Accepted: `{providers: {http: {endpoint: later}}}`, Refused: `{providers: {http: {enabled: true, endpoint: /x}}}`, Field: "spec.providers.http", Says: "needs endpoint"},
		{Name: "http has an interval", Accepted: `{providers: {http: {interval: 1m30s}}}`, Refused: `{providers: {http: {interval: soon}}}`, Field: "spec.providers.http.interval", Says: "must be a duration"},
		{Name: "http has a timeout", Accepted: `{providers: {http: {timeout: 500ms}}}`, Refused: `{providers: {http: {timeout: 0s}}}`, Field: "spec.providers.http.timeout", Says: "must be a duration"},
		{Name: "http waits before it tries again", Accepted: `{providers: {http: {retryDelay: 1s}}}`, Refused: `{providers: {http: {retryDelay: -1s}}}`, Field: "spec.providers.http.retryDelay", Says: "must be a duration"},
		{Name: "http tries at least once", Accepted: `{providers: {http: {retryAttempts: 1}}}`, Refused: `{providers: {http: {retryAttempts: 0}}}`, Field: "spec.providers.http.retryAttempts"},
		{Name: "headers are from a secret", Accepted: `{providers: {http: {headersSecret: ""}}}`, Refused: `{providers: {http: {headersSecret: A}}}`, Field: "spec.providers.http.headersSecret"},
		{Name: "git may be prepared while off", Accepted: `{providers: {git: {enabled: false, url: "https://github.com/example/gateway-config.git", branch: main, path: config, interval: 60s, auth: {type: token, secretName: git-credentials}}}}`},
		{Name: "git has a url when on", Accepted: `{providers: {git: {enabled: true, url: "git@h:r"}}}`, Refused: `{providers: {git: {enabled: true}}}`, Field: "spec.providers.git", Says: "needs url"},
		{Name: "git has an interval", Accepted: `{providers: {git: {interval: 24h}}}`, Refused: `{providers: {git: {interval: "60"}}}`, Field: "spec.providers.git.interval", Says: "must be a duration"},
		{Name: "git credentials have a type", Accepted: `{providers: {git: {auth: {type: basic, secretName: s}}}}`, Refused: `{providers: {git: {auth: {secretName: s}}}}`, Field: "spec.providers.git.auth.type"},
		{Name: "git credentials are of a known type", Accepted: `{providers: {git: {auth: {type: ssh, secretName: s}}}}`, Refused: `{providers: {git: {auth: {type: magic, secretName: s}}}}`, Field: "spec.providers.git.auth.type"},
		{Name: "git credentials are in a secret", Accepted: `{providers: {git: {auth: {type: ssh, secretName: s}}}}`, Refused: `{providers: {git: {auth: {type: ssh}}}}`, Field: "spec.providers.git.auth.secretName"},
		{Name: "the secret of git is named", Accepted: `{providers: {git: {auth: {type: ssh, secretName: s}}}}`, Refused: `{providers: {git: {auth: {type: ssh, secretName: ""}}}}`, Field: "spec.providers.git.auth.secretName"},
		{Name: "the secret of git is no path", Accepted: `{providers: {git: {auth: {type: ssh, secretName: s}}}}`, Refused: `{providers: {git: {auth: {type: ssh, secretName: /s}}}}`, Field: "spec.providers.git.auth.secretName", Says: "should match"},
	})
}
