/// The version of this build.
package enum CrestVersion {
    package static let text = "0.1.0"
}
