// What reading codes says, Chinese first. One line a word.
export const WORDS = {
  qr_title: ["扫二维码", "Scan the QR code"],
  qr_begin: ["打开相机扫码", "Scan with the camera"],
  qr_stop: ["关闭相机", "Close the camera"],
  qr_picture: ["用照片识别", "Read it from a photo"],
  qr_no_camera: ["打不开相机。请允许使用相机，或用照片、手工输入。", "The camera does not open. Allow it, or use a photo or type."],
  qr_not_in_picture: ["照片里没有找到二维码。", "No code was found in the photo."],
  qr_none: ["本浏览器不能识码：可用手机自带的扫一扫打开码上的网址，或手工输入。", "This browser reads no codes: open the code with the phone's own scanner, or type."],
};
