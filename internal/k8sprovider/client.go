// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Connect finds the API server and the namespace. A kubeconfig is used when it
// is given and never because it happens to lie about: a sidecar that cannot use
// its service account has to say so.
func Connect(kubeconfig string) (*rest.Config, string, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", errors.New("not in a cluster: give a kubeconfig file with --kubeconfig or KUBECONFIG")
		}
		if err != nil {
			return nil, "", fmt.Errorf("using the service account: %w", err)
		}
		namespace, err := os.ReadFile(namespaceFile)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("reading the namespace of the pod: %w", err)
		}
		return config, strings.TrimSpace(string(namespace)), nil
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, nil)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, namespace, nil
}

// clients are the API groups that the sidecar speaks to.
type clients struct {
	gateway, core, coordination rest.Interface
}

func newClients(config *rest.Config) (clients, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme)); err != nil {
		return clients{}, err
	}
	group := func(path string, version schema.GroupVersion) (rest.Interface, error) {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = path, &version
		c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		// A watch per Secret begins at once; the API server's own fairness is
		// the limit.
		c.QPS = -1
		return rest.RESTClientFor(c)
	}
	gateway, err := group("/apis", v1alpha1.GroupVersion)
	if err != nil {
		return clients{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	core, err := group("/api", corev1.SchemeGroupVersion)
	if err != nil {
		return clients{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	coordination, err := group("/apis", coordinationv1.SchemeGroupVersion)
	if err != nil {
		return clients{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	return clients{gateway: gateway, core: core, coordination: coordination}, nil
}

// annotate patches the metadata of a pod.
func (c clients) annotate(ctx context.Context, namespace, pod string, patch []byte) error {
	return c.core.Patch(types.MergePatchType).
		Namespace(namespace).Resource("pods").Name(pod).
		Body(patch).Do(ctx).Error()
}
