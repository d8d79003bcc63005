/// The answer to POST /api/v1/servables/NAME.
struct PushAnswer: Codable, Equatable {
    var name: String
    var version: Int64
    var sha256: String
    /// `superseded` where a higher version came first.
    var state: ModelStore.Pushed.State
    /// The version that answers.
    var serving: Int64
}
