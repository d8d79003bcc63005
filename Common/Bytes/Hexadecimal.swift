/// Two lower-case digits for each byte, as checksums are written.
package func hexadecimal(_ bytes: [UInt8]) -> String {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
    return String(unsafeUninitializedCapacity: 2 * bytes.count) { text in
        for (index, byte) in bytes.enumerated() {
            (text[2 * index], text[2 * index + 1]) = (digit(byte >> 4), digit(byte & 15))
        }
        return 2 * bytes.count
    }
}
