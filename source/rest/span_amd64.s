#include "textflag.h"

DATA wanted<>+0(SB)/4, $0x225c7b7d // } { \ "
DATA wanted<>+4(SB)/4, $0x00000020
GLOBL wanted<>(SB), RODATA|NOPTR, $8

// MASK compares Y0 and Y1 with the byte in all lanes of Y2 and leaves 64 bits in R.
#define MASK(R) \
	VPCMPEQB Y0, Y2, Y3 \
	VPCMPEQB Y1, Y2, Y4 \
	VPMOVMSKB Y3, R \
	VPMOVMSKB Y4, CX \
	SHLQ $32, CX \
	ORQ CX, R

// func masksAVX2(b *[64]byte) (quotes, opens, closes, slashes, high uint64)
TEXT ·masksAVX2(SB), NOSPLIT, $0-48
	MOVQ b+0(FP), AX
	VMOVDQU (AX), Y0
	VMOVDQU 32(AX), Y1
	VPMOVMSKB Y0, BX
	VPMOVMSKB Y1, CX
	SHLQ $32, CX
	ORQ CX, BX
	MOVQ BX, high+40(FP)
	VPBROADCASTB wanted<>+3(SB), Y2
	MASK(BX)
	MOVQ BX, quotes+8(FP)
	VPBROADCASTB wanted<>+2(SB), Y2
	MASK(BX)
	MOVQ BX, slashes+32(FP)
	VPBROADCASTB wanted<>+4(SB), Y2
	VPOR Y2, Y0, Y0
	VPOR Y2, Y1, Y1
	VPBROADCASTB wanted<>+1(SB), Y2
	MASK(BX)
	MOVQ BX, opens+16(FP)
	VPBROADCASTB wanted<>+0(SB), Y2
	MASK(BX)
	MOVQ BX, closes+24(FP)
	VZEROUPPER
	RET
