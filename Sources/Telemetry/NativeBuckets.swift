/// A histogram in base-2 exponential buckets: bucket `i` of schema `s` holds `(2^((i-1)/2^s), 2^(i/2^s)]`.
package struct NativeBuckets: Hashable, Sendable {
    package struct Bucket: Hashable, Sendable {
        package var index: Int
        package var weight: Double

        package init(index: Int, weight: Double) {
            self.index = index
            self.weight = weight
        }
    }

    package var schema: Int
    /// Weight of zero and of what is too small for a bucket.
    package var zeroWeight: Double
    /// By ascending index, each index once.
    package var buckets: [Bucket]

    package init(schema: Int, zeroWeight: Double, buckets: [Bucket]) {
        self.schema = schema
        self.zeroWeight = zeroWeight
        self.buckets = buckets
    }
}
