// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// Store gives the objects in which the sidecars of a Gateway keep obtained certificates
// and their locks; none where they are kept elsewhere. They are made empty, because the
// right to make objects cannot be limited to names, and what is in them is the sidecars'
// alone. They go with the Gateway and not before: what they hold cannot be had again
// at will. O6
func Store(gw *v1alpha1.Gateway) (list []client.Object) {
	if !translate.SharedStore(gw) {
		return nil
	}
	for _, name := range secrets.SecretNames(gw.Name) {
		m := meta(gw)
		m.Name = name
		list = append(list, &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: m})
	}
	for _, name := range secrets.LeaseNames(gw.Name) {
		m := meta(gw)
		m.Name = name
		list = append(list, &coordinationv1.Lease{
			TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}, ObjectMeta: m,
		})
	}
	return list
}
