/// A valid document, with what is needed to damage it where it hurts.
struct Seed: Sendable {
    enum Form: Sendable { case binary, text }

    let name: String
    let bytes: [UInt8]
    let form: Form
    /// Half of the damage goes into one of these; anywhere where there are none.
    let focus: [Range<Int>]
    /// Makes damaged bytes pass the outer checks (a checksum, an envelope), so that what is behind them is reached.
    let mend: @Sendable ([UInt8]) -> [UInt8]
    /// Of four damaged inputs, how many are mended.
    let mendedQuarters: UInt64

    init(
        _ name: String, _ bytes: [UInt8], form: Form = .binary, focus: [Range<Int>] = [], mendedQuarters: UInt64 = 0,
        mend: @escaping @Sendable ([UInt8]) -> [UInt8] = { $0 }
    ) {
        self.name = name
        self.bytes = bytes
        self.form = form
        self.focus = focus
        self.mend = mend
        self.mendedQuarters = mendedQuarters
    }

    init(_ name: String, text: String) { self.init(name, Array(text.utf8), form: .text) }
}
